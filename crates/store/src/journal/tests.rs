use super::*;
use model::{Reason, Verdict};

const AT: UnixMillis = UnixMillis(1_700_000_000_123);
const FAILED: Event = Event::Ended {
    verdict: Verdict::Fail,
    reason: Reason::ExitCode,
};

fn answer(json: &[u8]) -> LeafAnswer {
    LeafAnswer {
        json: json.to_vec(),
        said: Said::new([7; DIGEST_BYTES], "exit 1".into()),
        snapshots: Vec::new(),
    }
}

fn sample() -> Vec<u8> {
    let mut block = BlockWriter::new(9);
    assert_eq!(block.leaf(7, Event::Delivered, AT, None), 0);
    assert_eq!(
        block.leaf(1_048_576, FAILED, AT, Some(&answer(b"{\"a\":1}"))),
        1
    );
    block.all(Event::CancelAsked, AT, &[1, 2, 300, 1_048_576]);
    block.cancelled(AT);
    block.seal(&mut compressor().unwrap()).unwrap()
}

#[test]
fn records_read_back_as_they_were_written() {
    let block = Block::open(&sample()).unwrap();
    assert_eq!(
        block.records().unwrap(),
        [
            Record::Leaf {
                number: 7,
                event: Event::Delivered,
                at: AT,
                answer: None
            },
            Record::Leaf {
                number: 1_048_576,
                event: FAILED,
                at: AT,
                answer: Some(Answered {
                    said: answer(b"").said,
                    json: Some(b"{\"a\":1}"),
                })
            },
            Record::All {
                event: Event::CancelAsked,
                at: AT,
                started: vec![1, 2, 300, 1_048_576]
            },
            Record::Cancelled { at: AT },
        ]
    );
    assert_eq!((block.first, block.last), (9, 9));
    assert_eq!(block.answer(1, 1_048_576).unwrap(), b"{\"a\":1}");
    for (index, number) in [(0, 7), (1, 7), (2, 1), (3, 1), (4, 1)] {
        assert!(matches!(
            block.answer(index, number),
            Err(Error::Corrupt(_))
        ));
    }
}

#[test]
fn events_are_put_together_without_their_answers_and_answers_stand_alone() {
    let arrived = Block::open(&sample()).unwrap();
    let mut compressor = compressor().unwrap();
    let mut events = BlockWriter::new(3);
    events.stands_up_to(9);
    let mut expected = arrived.records().unwrap();
    for record in &expected {
        events.event(record);
    }
    let events = Block::open(&events.seal(&mut compressor).unwrap()).unwrap();
    assert_eq!((events.first, events.last), (3, 9));
    if let Record::Leaf { answer, .. } = &mut expected[1] {
        answer.as_mut().unwrap().json = None;
    }
    assert_eq!(events.records().unwrap(), expected);
    assert!(events.answer(1, 1_048_576).is_err());
    let mut again = BlockWriter::new(1);
    events
        .records()
        .unwrap()
        .iter()
        .for_each(|it| again.event(it));
    let again = Block::open(&again.seal(&mut compressor).unwrap()).unwrap();
    assert_eq!(again.records().unwrap(), expected);

    let mut answers = BlockWriter::new(10);
    assert_eq!(answers.answer(5, b"five"), 0);
    assert_eq!(answers.answer(6, b"six"), 1);
    let answers = Block::open(&answers.seal(&mut compressor).unwrap()).unwrap();
    assert_eq!(answers.answer(1, 6).unwrap(), b"six");
    assert!(answers.answer(1, 5).is_err());
    let found = answers.records().unwrap();
    let found: Vec<_> = found.iter().filter_map(Record::answer).collect();
    assert_eq!(found, [(5, &b"five"[..]), (6, b"six")]);
}

#[test]
fn an_event_on_a_million_taken_leaves_fits_one_block() {
    let started: Vec<u32> = (1..=1_048_576).collect();
    let mut block = BlockWriter::new(9);
    block.all(Event::CancelAsked, AT, &started);
    let data = block.seal(&mut compressor().unwrap()).unwrap();
    let read = Block::open(&data).unwrap();
    let records = read.records().unwrap();
    assert!(matches!(records.as_slice(), [Record::All { started: it, .. }] if *it == started));
}

#[test]
fn a_block_is_full_by_records_and_by_bytes() {
    let mut block = BlockWriter::new(9);
    for number in 1..=32 {
        assert!(!block.is_full());
        block.leaf(number, Event::Delivered, AT, None);
    }
    assert!(block.is_full());
    let mut block = BlockWriter::new(9);
    block.leaf(
        1,
        FAILED,
        AT,
        Some(&answer(&vec![b' '; limits::ANSWER_BYTES_MAX])),
    );
    assert!(block.is_full());
}

#[test]
fn no_flipped_bit_changes_what_is_read() {
    let good = sample();
    let records = Block::open(&good).unwrap().records;
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            if let Ok(block) = Block::open(&bad) {
                assert_eq!(
                    (block.first, block.last, &block.records),
                    (9, 9, &records),
                    "{at}.{bit}"
                );
            }
        }
        assert!(Block::open(&good[..at]).is_err());
    }
}

#[test]
fn whatever_is_in_a_block_reads_as_an_error_or_as_records() {
    let good = Block::open(&sample()).unwrap().records;
    for at in 0..good.len() {
        for value in [0, 1, 3, 0x7f, 0x80, 0xff] {
            let mut records = good.clone();
            records[at] = value;
            let block = Block {
                first: 1,
                last: 1,
                records,
            };
            let _ = block.records();
            let _ = block.answer(2, 1);
        }
    }
}

#[test]
fn an_empty_block_is_damage() {
    let empty = BlockWriter::new(1);
    let sealed = empty.seal(&mut compressor().unwrap()).unwrap();
    for empty in [sealed.as_slice(), &[VERSION, 0, 0, 0, 0]] {
        assert!(matches!(Block::open(empty), Err(Error::Corrupt(_))));
    }
}

#[test]
fn a_block_that_claims_to_be_huge_is_refused_before_it_is_unpacked() {
    let mut bad = sample();
    bad[1..5].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(Block::open(&bad), Err(Error::Corrupt(it)) if it.contains("4294967295")));
}
