//! What a core module imports: enough of the binary format (WebAssembly 3.0, section 5.5) to read one section.

use anyhow::{Context, Result, bail};

/// One import: a module's name and a field's.
pub(crate) struct Import {
    pub(crate) module: String,
    pub(crate) field: String,
}

/// Reads the imports of a core module. A component is refused: guests are built as core modules.
pub(crate) fn of(bytes: &[u8]) -> Result<Vec<Import>> {
    const IMPORTS: u8 = 2;
    let mut module = Reader(bytes);
    if module.take(8)? != b"\0asm\x01\0\0\0" {
        bail!("not a core module");
    }
    while !module.0.is_empty() {
        let id = module.byte()?;
        let length = module.number()?;
        let body = module.take(length)?;
        if id == IMPORTS {
            return section(Reader(body));
        }
    }
    Ok(Vec::new())
}

fn section(mut body: Reader<'_>) -> Result<Vec<Import>> {
    let count = body.number()?;
    let mut imports = Vec::new();
    for _ in 0..count {
        let module = body.name()?;
        let field = body.name()?;
        match body.byte()? {
            0x00 => {
                body.number()?;
            }
            kind => bail!("`{module}` `{field}` is no function (kind {kind}): a guest brings its own memory"),
        }
        imports.push(Import { module, field });
    }
    Ok(imports)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(length).context("the module ends early")?;
        self.0 = tail;
        Ok(head)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    /// An unsigned LEB128 of 32 bits.
    fn number(&mut self) -> Result<usize> {
        let mut value = 0_u64;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return usize::try_from(value).context("a number does not fit");
            }
        }
        bail!("a number is longer than 32 bits")
    }

    fn name(&mut self) -> Result<String> {
        let length = self.number()?;
        String::from_utf8(self.take(length)?.to_vec()).context("a name is not UTF-8")
    }
}

#[cfg(test)]
mod tests {
    use super::of;

    /// A module that imports `wasi:cli/exit` `f` and nothing else.
    const MODULE: &[u8] = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x13\x01\x0dwasi:cli/exit\x01f\0\0";

    #[test]
    fn names_are_read() {
        let imports = of(MODULE).unwrap();
        assert_eq!(imports.len(), 1);
        assert_eq!((imports[0].module.as_str(), imports[0].field.as_str()), ("wasi:cli/exit", "f"));
    }

    #[test]
    fn a_module_without_imports_has_none() {
        assert!(of(&MODULE[..14]).unwrap().is_empty());
    }

    #[test]
    fn every_truncation_is_an_error_or_has_fewer_imports() {
        for end in 0..MODULE.len() {
            assert!(of(&MODULE[..end]).map_or(true, |imports| imports.is_empty()), "cut at {end}");
        }
    }

    #[test]
    fn a_component_is_refused() {
        assert!(of(b"\0asm\x0d\0\x01\0").is_err());
    }
}
