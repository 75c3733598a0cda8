//! Parts as ordinary readers.

use std::io::{self, BufRead, Read, Seek, SeekFrom};

use portcullis_guest::testing::{Double, Event, Installed};
use portcullis_guest::{Grant, VaultError, billing};

/// Larger than the double gives at once, and than the reader's buffer; a prime, so that nothing aligns.
const SIZE: usize = 300_007;

fn bytes() -> Vec<u8> {
    (0..SIZE).map(|index| (index * 31 % 251) as u8).collect()
}

fn opened() -> (Installed, Grant) {
    let double = Double::new().part("full", bytes()).operation("view", &["full"]).install();
    let grant = billing::request("view").unwrap().verify().unwrap();
    (double, grant)
}

#[test]
fn the_whole_part_is_read_within_a_bound() {
    let (_double, grant) = opened();
    assert_eq!(grant.open("full").unwrap().size(), SIZE as u64);
    assert_eq!(grant.open("full").unwrap().read_all(SIZE).unwrap(), bytes());
    let error = grant.open("full").unwrap().read_all(SIZE - 1).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
}

#[test]
fn reads_agree_with_a_cursor_wherever_they_start() {
    let (_double, grant) = opened();
    let mut part = grant.open("full").unwrap();
    let mut cursor = io::Cursor::new(bytes());
    let seeks = [
        SeekFrom::Start(0),
        SeekFrom::Start(65_535),
        SeekFrom::Current(-10),
        SeekFrom::Current(7),
        SeekFrom::End(-5),
        SeekFrom::End(0),
        SeekFrom::End(1_000),
        SeekFrom::Start(299_999),
        SeekFrom::Start(1),
    ];
    for seek in seeks {
        for length in [0, 1, 10, 4_096, 70_000, 200_000] {
            assert_eq!(part.seek(seek).unwrap(), cursor.seek(seek).unwrap(), "{seek:?}");
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            part.by_ref().take(length).read_to_end(&mut ours).unwrap();
            cursor.by_ref().take(length).read_to_end(&mut theirs).unwrap();
            assert!(ours == theirs, "{seek:?} {length}");
        }
    }
    assert!(part.seek(SeekFrom::End(-(SIZE as i64) - 1)).is_err());
}

#[test]
fn small_reads_cost_few_calls() {
    let (double, grant) = opened();
    let mut part = grant.open("full").unwrap();
    let mut one = [0];
    for _ in 0..100_000 {
        part.read_exact(&mut one).unwrap();
    }
    let calls = double.events().iter().filter(|event| matches!(event, Event::Read { .. })).count();
    assert_eq!(calls, 2);
}

#[test]
fn lines_are_read_through_the_buffer() {
    let _double = Double::new().part("text", *b"one\ntwo\nthree").operation("view", &["text"]).install();
    let grant = billing::request("view").unwrap().verify().unwrap();
    let lines: Vec<String> = grant.open("text").unwrap().lines().map(Result::unwrap).collect();
    assert_eq!(lines, ["one", "two", "three"]);
}

#[test]
fn an_ended_grant_reads_no_further() {
    let (double, grant) = opened();
    let mut part = grant.open("full").unwrap();
    part.read_exact(&mut [0; 10]).unwrap();
    double.expire("view");
    part.seek(SeekFrom::Start(200_000)).unwrap();
    let error = part.read(&mut [0; 10]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<VaultError>());
    assert_eq!(inner, Some(&VaultError::Expired));
}

#[test]
fn damage_is_an_error_and_never_bytes() {
    let _double = Double::new().part("full", bytes()).damaged("full").operation("view", &["full"]).install();
    let grant = billing::request("view").unwrap().verify().unwrap();
    let error = grant.open("full").unwrap().read_all(SIZE).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}
