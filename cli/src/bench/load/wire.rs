//! The least of an HTTP/1.1 client: one connection, one request at a time, answers with a length.
//!
//! The driver shares the machine with the service it measures, so its own cost must be small.

use std::io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A connection to the service.
pub(super) struct Wire {
    stream: TcpStream,
    host: String,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Wire {
    /// Connects to `host:port`.
    pub(super) async fn connect(host: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        Ok(Wire {
            stream,
            host: host.to_owned(),
            request: Vec::new(),
            answer: Vec::new(),
        })
    }

    /// Sends a request and reads the answer: its status and its body.
    pub(super) async fn ask(
        &mut self,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> io::Result<(u16, &[u8])> {
        use std::io::Write as _;
        self.request.clear();
        write!(
            self.request,
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n",
            self.host,
            body.len()
        )?;
        self.request.extend_from_slice(body);
        self.stream.write_all(&self.request).await?;
        self.answer.clear();
        let (status, begin, end) = loop {
            if let Some(head) = head(&self.answer)? {
                break head;
            }
            self.more().await?;
        };
        while self.answer.len() < end {
            self.more().await?;
        }
        Ok((status, &self.answer[begin..end]))
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.answer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// Reads the head of an answer, if it is whole: the status, and where the body begins and ends.
fn head(answer: &[u8]) -> io::Result<Option<(u16, usize, usize)>> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP/1.1");
    let text = std::str::from_utf8(&answer[..end]).map_err(|_| broken())?;
    let mut lines = text.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|status| status.parse().ok())
        .ok_or_else(broken)?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(Some(0), |(_, value)| value.trim().parse::<usize>().ok())
        .ok_or_else(broken)?;
    Ok(Some((status, end + 4, end + 4 + length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_when_they_are_whole() {
        let whole = b"HTTP/1.1 204 No Content\r\ndate: x\r\n\r\n";
        assert_eq!(head(whole).unwrap(), Some((204, whole.len(), whole.len())));
        assert_eq!(head(&whole[..whole.len() - 1]).unwrap(), None);
        let long = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP";
        assert_eq!(head(long).unwrap(), Some((200, 38, 41)));
        assert!(head(b"nonsense\r\n\r\n").is_err());
    }
}
