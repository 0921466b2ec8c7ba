//! The file log cut at every byte and with flipped bits. It opens, keeps the valid prefix, and
//! accepts nothing that was not written.

use std::path::Path;

use pegel::pane_log::file::{FileLog, FileLogError, RecoveredEntry, Recovery, Scan, scan};
use pegel::panes::Commit;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::restart::{apply, saved, stream, watched};
use crate::support::plan;

/// The contents of a log's segments.
struct Written {
    directory: tempfile::TempDir,
    commits: Vec<Commit>,
    /// The bytes of the segments, the newest last.
    segments: Vec<Vec<u8>>,
}

/// Writes two segments: the first opens empty, the second with a real snapshot and grows to
/// `bytes`.
fn write(bytes: usize) -> Written {
    let directory = tempfile::tempdir().unwrap();
    let stream = stream(&plan(watched()));
    let mut engine = pegel::engine::Engine::new(vec![plan(watched())]);
    let (mut log, _) = FileLog::open(directory.path(), &mut |_| ()).unwrap();
    let mut commits = Vec::new();
    for commit in &stream[..30] {
        apply(&mut engine, commit);
        log.append(commit);
        commits.push(commit.clone());
    }
    log.sync().unwrap();
    log.roll(&saved(&engine)).unwrap();
    let mut written = 0;
    // The same records again, one incarnation of the topic after the other.
    for (number, commit) in (0_u32..).zip(stream.iter().cycle()) {
        let mut commit = commit.clone();
        let mut shard = (*commit.shard).clone();
        shard.incarnation = 1 + number / u32::try_from(stream.len()).unwrap();
        commit.shard = shard.into();
        written += usize::try_from(log.append(&commit)).unwrap();
        commits.push(commit);
        if written >= bytes {
            break;
        }
    }
    log.sync().unwrap();
    let read = |number: u64| std::fs::read(segment(directory.path(), number)).unwrap();
    let segments = vec![read(1), read(2)];
    Written {
        directory,
        commits,
        segments,
    }
}

fn segment(directory: &Path, number: u64) -> std::path::PathBuf {
    directory.join(format!("{number:020}.panes"))
}

/// The valid prefix; `None` when the opening is not whole.
fn scanned(bytes: &[u8]) -> Option<Scan> {
    scan(bytes).unwrap()
}

/// The opening of a segment, and its records.
fn parts(bytes: &[u8]) -> (&[u8], Vec<&[u8]>) {
    let scan = scanned(bytes).unwrap();
    let (opening, mut rest) = bytes.split_at(scan.snapshot_bytes);
    let mut records = Vec::new();
    for (_, length) in &scan.commits {
        let (record, behind) = rest.split_at(usize::try_from(*length).unwrap());
        records.push(record);
        rest = behind;
    }
    (opening, records)
}

fn commits_of(scan: Scan) -> Vec<Commit> {
    scan.commits.into_iter().map(|(commit, _)| commit).collect()
}

#[test]
fn a_log_cut_at_any_byte_keeps_its_whole_records() {
    let written = write(1 << 20);
    let whole = &written.segments[1];
    let (opening, records) = parts(whole);
    for cut in 0..opening.len() {
        assert_eq!(scanned(&whole[..cut]), None, "cut in the opening at {cut}");
    }
    // Records are read one after the other and independently, so each is cut after an opening of
    // its own. That covers every byte of the log.
    let (short, _) = parts(&written.segments[0]);
    let (mut cuts, commits) = (0, &written.commits[30..]);
    for (index, (record, commit)) in records.iter().zip(commits).enumerate() {
        // The first record holds the schema that later ones refer to.
        let before = [short, &records[..index.min(1)].concat()].concat();
        let bytes = [&before[..], record].concat();
        for cut in before.len()..bytes.len() {
            let scan = scanned(&bytes[..cut]).unwrap();
            assert_eq!(
                (scan.commits.len(), scan.valid_bytes),
                (index.min(1), before.len()),
                "cut at {cut} of {}",
                bytes.len()
            );
            cuts += 1;
        }
        assert_eq!(
            commits_of(scanned(&bytes).unwrap()).last(),
            Some(commit),
            "the whole record"
        );
    }
    assert!(cuts >= 1 << 20, "{cuts} cuts");
}

#[test]
fn a_long_log_cut_anywhere_keeps_all_records_before() {
    let written = write(1 << 20);
    let whole = &written.segments[1];
    let (opening, records) = parts(whole);
    let mut random = ChaCha8Rng::seed_from_u64(4);
    for _ in 0..40 {
        let cut = random.random_range(opening.len()..whole.len());
        let mut ends = records.iter().scan(opening.len(), |end, record| {
            *end += record.len();
            Some(*end)
        });
        let kept = ends.position(|end| end > cut).unwrap();
        let actual = commits_of(scanned(&whole[..cut]).unwrap());
        assert!(
            actual == written.commits[30..30 + kept],
            "cut at {cut}: {} of {kept}",
            actual.len()
        );
    }
}

#[test]
fn a_flipped_bit_is_never_accepted_as_a_record() {
    let written = write(1 << 20);
    let (_, records) = parts(&written.segments[1]);
    let (opening, _) = parts(&written.segments[0]);
    let commits = &written.commits[30..];
    let mut random = ChaCha8Rng::seed_from_u64(5);
    for _ in 0..10_000 {
        let index = random.random_range(1..records.len() - 1);
        let mut bytes = [
            opening,
            records[0],
            records[index - 1],
            records[index],
            records[index + 1],
        ]
        .concat();
        let from = opening.len() + records[0].len() + records[index - 1].len();
        let bit = random.random_range(0..records[index].len() * 8);
        bytes[from + bit / 8] ^= 1 << (bit % 8);
        let scan = scanned(&bytes).unwrap();
        assert_eq!(scan.valid_bytes, from, "bit {bit} of record {index}");
        assert!(
            commits_of(scan) == [commits[0].clone(), commits[index - 1].clone()],
            "bit {bit} of record {index}"
        );
    }
}

#[test]
fn a_flipped_bit_in_an_opening_is_damage_and_never_a_newer_format() {
    let written = write(1000);
    let whole = &written.segments[1];
    let (opening, _) = parts(whole);
    let mut bytes = whole.clone();
    // The header and the first frame completely, then one bit of each byte.
    let bits = (0..40 * 8).chain((40..opening.len()).map(|byte| byte * 8 + byte % 8));
    for bit in bits {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(scan(&bytes), Ok(None), "bit {bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

/// Opens a log of these segments; returns its commits, whether it has a snapshot, and how many
/// bytes were cut.
fn open(directory: &Path, segments: [&[u8]; 2]) -> (FileLog, Vec<Commit>, bool, Recovery) {
    for (number, bytes) in (1..).zip(segments) {
        std::fs::write(segment(directory, number), bytes).unwrap();
    }
    let (mut commits, mut has_snapshot) = (Vec::new(), false);
    let opened = FileLog::open(directory, &mut |actual| match actual {
        RecoveredEntry::Snapshot(_) => has_snapshot = true,
        RecoveredEntry::Commit(_, commit, _) => commits.push(*commit),
    });
    let (log, recovery) = opened.unwrap();
    (log, commits, has_snapshot, recovery)
}

/// Opens a damaged log, asserts what is kept, and continues to write to it.
fn check(written: &Written, damaged: &[u8], what: &str) {
    let (opening, _) = parts(&written.segments[1]);
    let kept = scanned(damaged).map(|scan| scan.commits.len());
    let directory = written.directory.path();
    let (mut log, commits, has_snapshot, recovery) =
        open(directory, [&written.segments[0], damaged]);
    let expected = match kept {
        Some(kept) => &written.commits[30..30 + kept],
        None => &written.commits[..30],
    };
    assert!(
        commits == expected,
        "{what}: {} commits, not {}",
        commits.len(),
        expected.len()
    );
    assert_eq!(
        has_snapshot,
        kept.is_some(),
        "{what}: the snapshot, else the segment before"
    );
    let valid = scanned(damaged).map_or(0, |scan| scan.valid_bytes);
    assert_eq!(
        recovery.cut_bytes,
        (damaged.len() - valid) as u64,
        "{what}: {} bytes of opening",
        opening.len()
    );
    let next = written.commits.last().unwrap();
    log.append(next);
    log.sync().unwrap();
    drop(log);
    let mut again = Vec::new();
    let opened = FileLog::open(directory, &mut |actual| {
        if let RecoveredEntry::Commit(_, commit, _) = actual {
            again.push(*commit);
        }
    });
    assert_eq!(
        opened.unwrap().1.cut_bytes,
        0,
        "{what}: nothing is damaged any more"
    );
    assert_eq!(again.len(), expected.len() + 1, "{what}: written on");
    assert!(again.last() == Some(next), "{what}: behind what was kept");
}

#[test]
fn a_cut_log_opens_and_accepts_new_records() {
    let written = write(12_000);
    let whole = &written.segments[1];
    let (opening, records) = parts(whole);
    let last: usize = records[records.len() - 2..]
        .iter()
        .map(|record| record.len())
        .sum();
    let near = (0..64).chain(opening.len() - 16..opening.len() + 64);
    let cuts = near.chain(whole.len() - last.min(400)..=whole.len());
    let coarse = (0..whole.len()).step_by(211);
    for cut in cuts.chain(coarse) {
        check(
            &written,
            &whole[..cut],
            &format!("cut at {cut} of {}", whole.len()),
        );
    }
}

#[test]
fn a_log_with_a_flipped_bit_opens_and_accepts_new_records() {
    let written = write(1 << 20);
    let whole = &written.segments[1];
    let (opening, _) = parts(whole);
    let mut random = ChaCha8Rng::seed_from_u64(6);
    for round in 0..200 {
        let bits = if round % 4 == 0 {
            opening.len()
        } else {
            whole.len()
        } * 8;
        let bit = random.random_range(0..bits);
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        check(&written, &damaged, &format!("bit {bit}"));
    }
}

#[test]
fn a_log_with_every_opening_damaged_starts_empty() {
    let written = write(1000);
    let (first, second) = (&written.segments[0][..10], &written.segments[1][..10]);
    let (log, commits, has_snapshot, recovery) = open(written.directory.path(), [first, second]);
    assert_eq!(
        (commits.len(), has_snapshot, log.next()),
        (0, false, 0),
        "nothing is left"
    );
    assert_eq!(recovery.cut_bytes, 20, "and this is reported");
}

#[test]
fn a_log_that_cannot_be_written_names_the_path() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    std::fs::write(&path, "not a directory").unwrap();
    let problem = FileLog::open(&path, &mut |_| ()).unwrap_err();
    assert!(matches!(problem, FileLogError::Io { .. }), "{problem:?}");
    assert!(
        problem.to_string().contains("file: cannot be created"),
        "{problem}"
    );
}

/// A record with a right checksum that this program cannot read was cut off as a torn tail,
/// together with everything behind it: a downgrade lost what the newer program had counted.
#[test]
fn an_undamaged_record_that_cannot_be_read_is_refused_and_never_cut_off() {
    let written = write(12_000);
    let (opening, records) = parts(&written.segments[1]);
    let behind: Vec<u8> = records[1..].concat();
    for change in [
        |body: &mut Vec<u8>| body.push(0),
        |body: &mut Vec<u8>| body[1] = 99,
    ] {
        let mut body = records[0][8..].to_vec();
        change(&mut body);
        let length = u32::try_from(body.len()).unwrap().to_le_bytes();
        let checksum = crc32c::crc32c(&body).to_le_bytes();
        let bytes = [opening, &length, &checksum, &body, &behind].concat();
        let path = segment(written.directory.path(), 2);
        std::fs::write(&path, &bytes).unwrap();
        let problem = FileLog::open(written.directory.path(), &mut |_| ()).unwrap_err();
        let at = opening.len() as u64;
        assert!(
            matches!(problem, FileLogError::Undecodable { at: actual, .. } if actual == at),
            "{problem:?}"
        );
        assert!(std::fs::read(&path).unwrap() == bytes, "nothing is touched");
    }
}

/// The whole segment was decoded before the first record was handed over, so a start took three
/// times the memory of the run.
#[test]
fn records_are_handed_over_before_later_ones_are_read() {
    let written = write(12_000);
    let (opening, records) = parts(&written.segments[1]);
    let checksum = crc32c::crc32c(&[0]).to_le_bytes();
    let bytes = [
        opening,
        records[0],
        records[1],
        &[1, 0, 0, 0],
        &checksum,
        &[0],
    ]
    .concat();
    let path = segment(written.directory.path(), 2);
    std::fs::write(path, &bytes).unwrap();
    let mut commits = 0;
    let opened = FileLog::open(written.directory.path(), &mut |entry| {
        commits += u32::from(matches!(entry, RecoveredEntry::Commit(..)));
    });
    assert!(opened.is_err(), "the third record cannot be read");
    assert_eq!(commits, 2, "those before were handed over");
}

/// A start that read the log for minutes did not react to SIGTERM.
#[test]
fn reading_a_log_ends_between_two_records_when_it_is_asked_to() {
    let written = write(12_000);
    let commits = std::cell::Cell::new(0);
    let opened = FileLog::open_until(
        written.directory.path(),
        &|| commits.get() == 3,
        &mut |entry| {
            if matches!(entry, RecoveredEntry::Commit(..)) {
                commits.set(commits.get() + 1);
            }
        },
    );
    let problem = opened.map(drop).unwrap_err();
    assert!(
        matches!(problem, FileLogError::Interrupted { .. }),
        "{problem:?}"
    );
    assert_eq!(commits.get(), 3, "no further record");
}

/// A segment with a damaged opening was removed, and with it every later attempt to save it.
#[test]
fn a_segment_that_cannot_be_read_is_renamed_and_kept() {
    let written = write(1000);
    let damaged = &written.segments[1][..10];
    let directory = written.directory.path();
    for name in ["panes.damaged", "panes.damaged.1"] {
        drop(open(directory, [&written.segments[0], damaged]));
        let kept = segment(directory, 2).with_extension(name);
        assert_eq!(std::fs::read(&kept).unwrap(), damaged, "{name}");
    }
}

type Damage<'a> = &'a dyn Fn(&Path);

/// A log went on writing into removed files, and the next start found nothing.
#[test]
fn a_log_whose_files_are_gone_notices_it_and_continues_in_new_ones() {
    let remove_all = |directory: &Path| std::fs::remove_dir_all(directory).unwrap();
    let move_away = |directory: &Path| {
        std::fs::rename(directory, directory.with_extension("moved")).unwrap();
    };
    let remove_lock = |directory: &Path| std::fs::remove_file(directory.join("lock")).unwrap();
    let replace_segment = |directory: &Path| {
        let path = segment(directory, 1);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    let damages: [(&str, Damage<'_>); 4] = [
        ("removed", &remove_all),
        ("moved", &move_away),
        ("lock removed", &remove_lock),
        ("segment replaced", &replace_segment),
    ];
    for (damage, apply_damage) in damages {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("state");
        let (mut log, _) = FileLog::open(&directory, &mut |_| ()).unwrap();
        let commits = stream(&plan(watched()));
        log.append(&commits[0]);
        log.sync().unwrap();
        assert!(log.is_in_place(), "{damage}: not yet");
        apply_damage(&directory);
        assert!(!log.is_in_place(), "{damage}");
        log.recreate(b"everything so far").unwrap();
        assert!(log.is_in_place(), "{damage}: again");
        log.append(&commits[1]);
        log.sync().unwrap();
        let is_taken = FileLog::open(&directory, &mut |_| ()).is_err();
        assert!(is_taken, "{damage}: the lock is held");
        drop(log);
        let (mut snapshot, mut later) = (Vec::new(), Vec::new());
        FileLog::open(&directory, &mut |entry| match entry {
            RecoveredEntry::Snapshot(bytes) => snapshot = bytes,
            RecoveredEntry::Commit(position, commit, _) => later.push((position, *commit)),
        })
        .unwrap();
        assert_eq!(snapshot, b"everything so far", "{damage}");
        assert_eq!(later, [(1, commits[1].clone())], "{damage}");
    }
}
