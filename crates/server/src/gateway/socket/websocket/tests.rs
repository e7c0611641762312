use super::*;

const MAX: usize = 1 << 17;

/// A frame as a client sends it.
fn frame(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    head(0, body.len(), &mut bytes);
    let mut bytes = bytes.to_vec();
    bytes[0] = first;
    bytes[1] |= MASKED;
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    bytes.extend_from_slice(&mask);
    bytes.extend(
        body.iter()
            .zip(mask.iter().cycle())
            .map(|(it, key)| it ^ key),
    );
    bytes
}

/// What comes of bytes that arrive one by one, until they end or break a rule.
fn decoded(bytes: &[u8]) -> (Vec<Message>, Option<Violation>) {
    let mut decoder = Decoder::new(MAX);
    let (mut come, mut messages) = (BytesMut::new(), Vec::new());
    for byte in bytes {
        come.put_u8(*byte);
        loop {
            match decoder.take(&mut come) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(violation) => return (messages, Some(violation)),
            }
        }
    }
    (messages, None)
}

fn binary(body: &[u8]) -> Message {
    Message::Binary(Bytes::copy_from_slice(body))
}

#[test]
fn the_key_of_the_rfc_is_accepted() {
    let accept = accept_key(b"dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[test]
fn lengths_of_each_form_are_read_and_written() {
    for length in [0, 1, 125, 126, 127, 65_535, 65_536, MAX] {
        let body = vec![7; length];
        let (messages, violation) = decoded(&frame(0x82, &body));
        assert_eq!(
            (messages, violation),
            (vec![binary(&body)], None),
            "{length}"
        );
        let mut written = BytesMut::new();
        head(BINARY, length, &mut written);
        assert_eq!(written[0], 0x82);
        let expected = match length {
            0..=125 => 2,
            126..=65_535 => 4,
            _ => 10,
        };
        assert_eq!(written.len(), expected, "{length}");
    }
}

#[test]
fn parts_make_a_message_and_control_frames_come_between() {
    let bytes = [
        frame(0x02, b"one "),
        frame(0x89, b"ping"),
        frame(0x00, b""),
        frame(0x8a, b"pong"),
        frame(0x80, b"two"),
        frame(0x82, b"three"),
        frame(0x88, b""),
    ];
    let (messages, violation) = decoded(&bytes.concat());
    let ping = Message::Ping(Bytes::from_static(b"ping"));
    let one = [ping, Message::Pong, binary(b"one two")];
    let other = [binary(b"three"), Message::Close];
    assert_eq!(messages, one.into_iter().chain(other).collect::<Vec<_>>());
    assert_eq!(violation, None);
}

#[test]
fn what_breaks_a_rule_is_refused() {
    let check = |bytes: Vec<u8>, expected: Violation| {
        let (messages, violation) = decoded(&bytes);
        assert_eq!(violation, Some(expected), "{bytes:?}");
        assert_eq!(messages, []);
    };
    for reserved in [0x40, 0x20, 0x10] {
        check(frame(0x82 | reserved, b"x"), Violation::Unknown);
    }
    for opcode in (3..=7).chain(11..=15) {
        check(frame(0x80 | opcode, b"x"), Violation::Unknown);
    }
    check(frame(0x81, b"text"), Violation::Text);
    check(vec![0x82, 1, b'x'], Violation::Unmasked);
    check(vec![0x89, 0], Violation::Unmasked);
    for opcode in [CLOSE, PING, PONG] {
        check(frame(opcode, b""), Violation::Control);
        check(frame(FINAL | opcode, &[0; 126]), Violation::Control);
    }
    check(frame(0x80, b"no beginning"), Violation::Order);
    check(frame(0x00, b"no beginning"), Violation::Order);
    let twice = [frame(0x02, b"one"), frame(0x82, b"two")];
    check(twice.concat(), Violation::Order);
    check(vec![0x82, 0xfe, 0, 125], Violation::Length);
    let long = [0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
    check(long.to_vec(), Violation::Length);
}

#[test]
fn a_message_that_is_too_large_is_refused_by_its_head() {
    let too_large = |bytes: &[u8]| decoded(bytes) == (vec![], Some(Violation::TooLarge));
    let head_bytes = 14;
    assert!(too_large(&frame(0x82, &vec![0; MAX + 1])[..head_bytes]));
    let [mut huge, mut signed] = [[0xff; 14]; 2];
    (huge[0], signed[0]) = (0x82, 0x82);
    signed[2] = 0x7f;
    assert!(too_large(&huge));
    assert!(too_large(&signed));
    let parts = [frame(0x02, &vec![0; MAX]), frame(0x80, b"x")];
    assert!(too_large(&parts.concat()));
    let parts = [frame(0x02, &vec![0; MAX]), frame(0x80, b"")];
    assert_eq!(decoded(&parts.concat()).0.len(), 1);
}

#[test]
fn a_close_frame_has_a_form() {
    let close = |body: &[u8]| decoded(&frame(0x88, body));
    for body in [&b""[..], &[3, 232], &[3, 232, b'o', b'k'], &[0x0b, 0xb8]] {
        assert_eq!(close(body), (vec![Message::Close], None), "{body:?}");
    }
    let bad: [&[u8]; 5] = [&[3], &[0, 0], &[3, 237], &[0xff, 0xff], &[3, 232, 0xff]];
    for body in bad {
        assert_eq!(close(body), (vec![], Some(Violation::Control)), "{body:?}");
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_taken_or_refused(bytes: Vec<u8>) {
        let (messages, _) = decoded(&bytes);
        assert!(messages.len() <= bytes.len() / 6);
    }
}
