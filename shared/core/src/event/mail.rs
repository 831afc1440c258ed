//! DirectMail's body: raw `k=v&k=v` text, values not URL-encoded (seed 000, 2).

use std::fmt::Write as _;

/// One mail result, with the members of seed 000 (2) in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailResult {
    /// System id, for enquiries.
    pub env_id: String,
    /// `Message-ID` of the mail.
    pub msg_id: String,
    /// Sender's account.
    pub account: String,
    /// Sender's address.
    pub from: String,
    /// Recipient's address.
    pub rcpt: String,
    /// When the mail was queued, `YYYY-MM-DD hh:mm:ss`.
    pub recv_time: String,
    /// When delivery ended, `YYYY-MM-DD hh:mm:ss`.
    pub end_time: String,
    /// 0 success, 2 invalid address, 3 taken as spam, 4 failure.
    pub status: String,
    /// The triggering event: `deliver` in every sample.
    pub event: String,
    /// Region of the rule.
    pub region: String,
    /// Return code of the recipient's mail service.
    pub err_code: String,
    /// Text that came with it.
    pub err_msg: String,
}

/// The keys in the order of seed 000 (2); a reader splits on them in this order, since values are unescaped.
pub const KEYS: [&str; 12] = [
    "env_id",
    "msg_id",
    "account",
    "from",
    "rcpt",
    "recv_time",
    "end_time",
    "status",
    "event",
    "region",
    "err_code",
    "err_msg",
];

impl MailResult {
    fn values(&self) -> [&str; 12] {
        [
            &self.env_id,
            &self.msg_id,
            &self.account,
            &self.from,
            &self.rcpt,
            &self.recv_time,
            &self.end_time,
            &self.status,
            &self.event,
            &self.region,
            &self.err_code,
            &self.err_msg,
        ]
    }

    /// The text form of seed 000 (2): all keys, in order, values as they are.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(256);
        for (key, value) in KEYS.iter().zip(self.values()) {
            if !text.is_empty() {
                text.push('&');
            }
            // Writing to a String cannot fail.
            let _ = write!(text, "{key}={value}");
        }
        text
    }
}
