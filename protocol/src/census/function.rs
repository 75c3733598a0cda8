//! One function: its size, its variables, what its instructions take, and how its control flows.
//!
//! Compilers take memory and time by what an instruction moves, not by its bytes: a call of two bytes may move a
//! thousand values. And they follow each value that is alive along each branch, so that a thousand of one times a
//! thousand of the other counts as a million.

use super::CensusError;
use super::tally::{Counted, Tally};
use wasmparser::{BlockType, ContType, FrameKind, FuncType, FunctionBody, ModuleArity, Operator, RefType, SubType};

/// What is known of the core module that a function belongs to.
#[derive(Default)]
pub(super) struct Signatures {
    pub(super) types: Vec<SubType>,
    /// The type of each function, imported ones first.
    pub(super) functions: Vec<u32>,
}

/// A control structure that is open, and how many values lie below it.
struct Frame {
    ty: BlockType,
    kind: FrameKind,
    base: u64,
}

struct Flow<'m> {
    module: &'m Signatures,
    frames: Vec<Frame>,
    /// Values on the stack.
    height: u64,
}

/// Values that an instruction moves in registers. Each beyond them goes through memory, and takes as much as so many.
const NEAR: u64 = 16;
const FAR: u64 = 8;
/// So many basic blocks take the time of a value that is alive over all of them, by measurement.
const BLOCKS_A_VALUE: u64 = 32;

/// Counts the function with this number.
pub(super) fn count(
    tally: &mut Tally,
    module: &Signatures,
    number: usize,
    body: &FunctionBody<'_>,
) -> Result<(), CensusError> {
    tally.largest(Counted::FunctionBytes, body.as_bytes().len() as u64)?;
    let ty = module.functions.get(number).copied();
    let ty = ty.ok_or_else(|| CensusError::Invalid("code without a function".into()))?;
    let mut flow = Flow { module, frames: Vec::new(), height: 0 };
    let (params, _) = flow.arity_of(BlockType::FuncType(ty))?;
    let mut locals = params;
    for local in body.get_locals_reader()? {
        locals = locals.saturating_add(u64::from(local?.0));
        tally.largest(Counted::FunctionLocals, locals)?;
    }
    flow.frames.push(Frame { ty: BlockType::FuncType(ty), kind: FrameKind::Block, base: 0 });
    let (mut work, mut paths, mut nesting) = (locals, locals, 0);
    let mut operators = body.get_operators_reader()?;
    let mut so_far = 0_u64;
    while !operators.eof() {
        let at = operators.original_position() - body.range().start;
        let code = usize::try_from(at).ok().and_then(|at| body.as_bytes().get(at)).copied();
        let operator = operators.read()?;
        let alive = locals.saturating_add(flow.height);
        let moved = flow.step(&operator)?;
        work = work.saturating_add(1 + moved + FAR * moved.saturating_sub(NEAR) + expansion(&operator, code));
        if let Operator::BrTable { targets } = &operator {
            tally.largest(Counted::Targets, targets.len().into())?;
        }
        // Blocks take time by how many there are, too: the allocation of registers is quadratic in them.
        let blocks = blocks(&operator);
        paths = paths.saturating_add(blocks.saturating_mul(alive.saturating_add(so_far / BLOCKS_A_VALUE)));
        so_far = so_far.saturating_add(blocks);
        // The outermost frame is the function's own.
        nesting = nesting.max((flow.frames.len() as u64).saturating_sub(1));
        Counted::FunctionNesting.check(nesting)?;
        Counted::FunctionWork.check(work)?;
        Counted::FunctionFlow.check(paths)?;
    }
    tally.largest(Counted::FunctionNesting, nesting)?;
    tally.largest(Counted::FunctionWork, work)?;
    tally.largest(Counted::FunctionFlow, paths)?;
    tally.add(Counted::Work, work)?;
    tally.add(Counted::Flow, paths)
}

impl Flow<'_> {
    /// Follows an instruction. Returns how many values it takes and gives.
    fn step(&mut self, operator: &Operator<'_>) -> Result<u64, CensusError> {
        let invalid = || CensusError::Invalid("an instruction of unknown type, or outside of a function".into());
        let (takes, gives) = operator.operator_arity(self).ok_or_else(invalid)?;
        let (takes, gives) = (u64::from(takes), u64::from(gives));
        let base = self.frames.last().ok_or_else(invalid)?.base;
        let below = self.height.saturating_sub(takes).max(base);
        match operator {
            Operator::Block { blockty: ty } | Operator::If { blockty: ty } => {
                self.open(*ty, FrameKind::Block, below)?
            }
            Operator::Loop { blockty: ty } => self.open(*ty, FrameKind::Loop, below)?,
            Operator::TryTable { try_table } => self.open(try_table.ty, FrameKind::Block, below)?,
            Operator::Else => {
                let frame = self.frames.last().ok_or_else(invalid)?;
                self.height = frame.base.saturating_add(self.arity_of(frame.ty)?.0);
            }
            Operator::End => {
                let frame = self.frames.pop().ok_or_else(invalid)?;
                self.height = frame.base.saturating_add(self.arity_of(frame.ty)?.1);
            }
            // What follows is never reached.
            Operator::Unreachable
            | Operator::Br { .. }
            | Operator::BrTable { .. }
            | Operator::Return
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. } => self.height = base,
            _ => self.height = below.saturating_add(gives),
        }
        Ok(takes.saturating_add(gives))
    }

    fn open(&mut self, ty: BlockType, kind: FrameKind, base: u64) -> Result<(), CensusError> {
        self.height = base.saturating_add(self.arity_of(ty)?.0);
        self.frames.push(Frame { ty, kind, base });
        Ok(())
    }

    fn arity_of(&self, ty: BlockType) -> Result<(u64, u64), CensusError> {
        let arity = self.block_type_arity(ty);
        let arity = arity.ok_or_else(|| CensusError::Invalid("a type that does not exist".into()))?;
        Ok((arity.0.into(), arity.1.into()))
    }
}

impl ModuleArity for Flow<'_> {
    fn sub_type_at(&self, index: u32) -> Option<&SubType> {
        self.module.types.get(usize::try_from(index).ok()?)
    }

    fn tag_type_arity(&self, _: u32) -> Option<(u32, u32)> {
        None
    }

    fn type_index_of_function(&self, index: u32) -> Option<u32> {
        self.module.functions.get(usize::try_from(index).ok()?).copied()
    }

    fn func_type_of_cont_type(&self, _: &ContType) -> Option<&FuncType> {
        None
    }

    fn sub_type_of_ref_type(&self, _: &RefType) -> Option<&SubType> {
        None
    }

    fn control_stack_height(&self) -> u32 {
        u32::try_from(self.frames.len()).unwrap_or(u32::MAX)
    }

    fn label_block(&self, depth: u32) -> Option<(BlockType, FrameKind)> {
        let at = self.frames.len().checked_sub(1)?.checked_sub(usize::try_from(depth).ok()?)?;
        self.frames.get(at).map(|frame| (frame.ty, frame.kind))
    }
}

/// How many basic blocks the engine makes of an instruction, as far as they take time.
fn blocks(operator: &Operator<'_>) -> u64 {
    match operator {
        Operator::Block { .. }
        | Operator::If { .. }
        | Operator::TryTable { .. }
        | Operator::Else
        | Operator::End
        | Operator::Br { .. }
        | Operator::BrIf { .. } => 1,
        Operator::BrTable { targets } => u64::from(targets.len()) + 1,
        Operator::CallIndirect { .. } | Operator::ReturnCallIndirect { .. } => 8,
        // Each look at the table, and each look whether the time is over, is a branch and a call of its own.
        Operator::TableGet { .. }
        | Operator::MemoryGrow { .. }
        | Operator::MemoryFill { .. }
        | Operator::MemoryCopy { .. }
        | Operator::MemoryInit { .. } => 6,
        Operator::Loop { .. }
        | Operator::TableGrow { .. }
        | Operator::TableFill { .. }
        | Operator::TableCopy { .. }
        | Operator::TableInit { .. } => 16,
        _ => 0,
    }
}

/// What an instruction takes of the engine's memory beyond the values that it moves, by measurement: a step is a tenth
/// of a KiB.
fn expansion(operator: &Operator<'_>, code: Option<u8>) -> u64 {
    /// The first byte of vector instructions.
    const VECTOR: u8 = 0xfd;
    match operator {
        Operator::Call { .. } | Operator::ReturnCall { .. } | Operator::RefFunc { .. } | Operator::TableSet { .. } => {
            20
        }
        Operator::CallIndirect { .. } | Operator::ReturnCallIndirect { .. } => 200,
        Operator::Loop { .. } => 120,
        Operator::TableGet { .. }
        | Operator::MemoryGrow { .. }
        | Operator::MemoryFill { .. }
        | Operator::MemoryCopy { .. }
        | Operator::MemoryInit { .. } => 160,
        Operator::TableGrow { .. } | Operator::TableFill { .. } => 360,
        Operator::TableCopy { .. } | Operator::TableInit { .. } => 560,
        _ if code == Some(VECTOR) => 20,
        other => 8 * blocks(other),
    }
}
