//! The frames of RFC 6455, as a server reads and writes them.
//!
//! Owns the form of frames and nothing of their meaning; strict where the RFC leaves a choice. Does no
//! input or output: `socket` does.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use data_encoding::BASE64;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

const FINAL: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;
const LENGTH_IN_2: u8 = 126;
const LENGTH_IN_8: u8 = 127;
const CONTROL_BYTES_MAX: usize = 125;

const CONTINUATION: u8 = 0;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// What a server answers to a client's `Sec-WebSocket-Key` (section 4.2.2).
pub(in crate::gateway) fn accept_key(key: &[u8]) -> String {
    let mut text = key.to_vec();
    text.extend_from_slice(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    BASE64.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &text).as_ref())
}

/// What the other end says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// A whole message, of however many frames.
    Binary(Bytes),
    /// It is to be answered by a pong of the same bytes.
    Ping(Bytes),
    /// An answer that nobody asked for.
    Pong,
    /// The last message.
    Close,
}

/// How the other end breaks the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    /// A reserved bit or an opcode without a meaning.
    #[error("a frame of an unknown kind")]
    Unknown,
    /// Sessions are binary.
    #[error("a text message")]
    Text,
    /// A client masks every frame (section 5.1).
    #[error("a frame without a mask")]
    Unmasked,
    /// A length that is not written in the fewest bytes (section 5.2).
    #[error("a length of too many bytes")]
    Length,
    /// A control frame that is long or in parts (section 5.5), or a close frame of a bad form.
    #[error("a control frame of a bad form")]
    Control,
    /// A part without a beginning, or a beginning within a message (section 5.4).
    #[error("a message's parts are out of order")]
    Order,
    /// A message that is longer than may be.
    #[error("a message that is too large")]
    TooLarge,
}

/// The head of a frame.
struct Head {
    is_final: bool,
    opcode: u8,
    mask: [u8; 4],
    head_bytes: usize,
    body_bytes: usize,
}

impl Head {
    /// The head at the front of `bytes`; `None`: it is not all there.
    fn read(bytes: &[u8]) -> Result<Option<Self>, Violation> {
        let mut rest = bytes;
        let (Ok(first), Ok(second)) = (rest.try_get_u8(), rest.try_get_u8()) else {
            return Ok(None);
        };
        let opcode = first & !(FINAL | RESERVED);
        match opcode {
            _ if first & RESERVED != 0 => return Err(Violation::Unknown),
            CONTINUATION | BINARY | CLOSE | PING | PONG => {}
            1 => return Err(Violation::Text),
            _ => return Err(Violation::Unknown),
        }
        if second & MASKED == 0 {
            return Err(Violation::Unmasked);
        }
        let is_final = first & FINAL != 0;
        let is_control = opcode >= CLOSE;
        let short = second & LENGTH;
        if is_control && (!is_final || usize::from(short) > CONTROL_BYTES_MAX) {
            return Err(Violation::Control);
        }
        let (length, least) = match short {
            LENGTH_IN_2 => (rest.try_get_u16().map(u64::from), 126),
            LENGTH_IN_8 => (rest.try_get_u64(), 1 << 16),
            short => (Ok(u64::from(short)), 0),
        };
        let Ok(length) = length else {
            return Ok(None);
        };
        if length < least {
            return Err(Violation::Length);
        }
        let body_bytes = usize::try_from(length).map_err(|_| Violation::TooLarge)?;
        let Ok(mask) = rest.try_get_u32() else {
            return Ok(None);
        };
        Ok(Some(Self {
            is_final,
            opcode,
            mask: mask.to_be_bytes(),
            head_bytes: bytes.len() - rest.len(),
            body_bytes,
        }))
    }
}

/// Puts messages together.
#[derive(Debug)]
pub(super) struct Decoder {
    pub(super) message_bytes_max: usize,
    /// A message whose last part has not come.
    begun: Option<BytesMut>,
}

impl Decoder {
    pub(super) const fn new(message_bytes_max: usize) -> Self {
        Self {
            message_bytes_max,
            begun: None,
        }
    }

    /// Takes the next message off the front of `bytes`; `None`: it has not all come.
    ///
    /// # Errors
    /// Nothing after a [`Violation`] can be trusted.
    pub(super) fn take(&mut self, bytes: &mut BytesMut) -> Result<Option<Message>, Violation> {
        while let Some(head) = Head::read(bytes)? {
            let begun_bytes = self.begun.as_ref().map_or(0, BytesMut::len);
            let is_control = head.opcode >= CLOSE;
            match (head.opcode, &self.begun) {
                (CONTINUATION, None) | (BINARY, Some(_)) => return Err(Violation::Order),
                _ if is_control => {}
                _ if head.body_bytes > self.message_bytes_max - begun_bytes => {
                    return Err(Violation::TooLarge);
                }
                _ => {}
            }
            if bytes.len() - head.head_bytes < head.body_bytes {
                return Ok(None);
            }
            bytes.advance(head.head_bytes);
            let mut body = bytes.split_to(head.body_bytes);
            for part in body.chunks_mut(head.mask.len()) {
                for (byte, key) in part.iter_mut().zip(head.mask) {
                    *byte ^= key;
                }
            }
            match head.opcode {
                CLOSE => return closing(&body).map(Some),
                PING => return Ok(Some(Message::Ping(body.freeze()))),
                PONG => return Ok(Some(Message::Pong)),
                _ => {}
            }
            let whole = match self.begun.take() {
                Some(mut begun) => {
                    begun.extend_from_slice(&body);
                    begun
                }
                None => body,
            };
            if head.is_final {
                return Ok(Some(Message::Binary(whole.freeze())));
            }
            self.begun = Some(whole);
        }
        Ok(None)
    }
}

/// A close frame is empty, or begins with a code that may be sent (section 7.4) and goes on in UTF-8.
fn closing(body: &[u8]) -> Result<Message, Violation> {
    let Some((code, reason)) = body.split_first_chunk() else {
        return match body.is_empty() {
            true => Ok(Message::Close),
            false => Err(Violation::Control),
        };
    };
    let may_be_sent = matches!(u16::from_be_bytes(*code), 1000..=1003 | 1007..=1014 | 3000..=4999);
    if !may_be_sent || std::str::from_utf8(reason).is_err() {
        return Err(Violation::Control);
    }
    Ok(Message::Close)
}

fn head(opcode: u8, body_bytes: usize, out: &mut BytesMut) {
    out.put_u8(FINAL | opcode);
    match (u8::try_from(body_bytes), u16::try_from(body_bytes)) {
        (Ok(short), _) if short < LENGTH_IN_2 => out.put_u8(short),
        (_, Ok(length)) => {
            out.put_u8(LENGTH_IN_2);
            out.put_u16(length);
        }
        _ => {
            out.put_u8(LENGTH_IN_8);
            out.put_u64(u64::try_from(body_bytes).unwrap_or(u64::MAX));
        }
    }
}

/// Appends a binary message.
pub(super) fn put_binary(message: &impl prost::Message, out: &mut BytesMut) {
    let body_bytes = message.encoded_len();
    out.reserve(body_bytes + 10);
    head(BINARY, body_bytes, out);
    message.encode_raw(out);
}

/// Appends the answer to a ping.
pub(super) fn put_pong(body: &[u8], out: &mut BytesMut) {
    head(PONG, body.len(), out);
    out.extend_from_slice(body);
}

/// Appends a close frame without a reason.
pub(super) fn put_close(out: &mut BytesMut) {
    head(CLOSE, 0, out);
}

#[cfg(test)]
mod tests;
