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

    /// Reads the text form. Values are not escaped, so the keys are looked for in their order, each after a `&`: an
    /// unknown key is part of the value before it, and so is a `&` inside `err_msg`. What is missing stays empty; a
    /// member before the first known key (`X-Notify-Message-ID=` of newer samples) is passed over.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        // Where each key's value begins, in the order of KEYS.
        let mut found: [Option<(usize, usize)>; 12] = [None; 12];
        let mut at = 0;
        for (slot, key) in found.iter_mut().zip(KEYS) {
            let mut from = at;
            while let Some(offset) = text[from..].find(key) {
                let start = from + offset;
                let value = start + key.len();
                let begins = start == 0 || text.as_bytes()[start - 1] == b'&';
                if begins && text.as_bytes().get(value) == Some(&b'=') {
                    *slot = Some((start, value + 1));
                    at = value + 1;
                    break;
                }
                from = value;
            }
        }
        let value = |index: usize| -> String {
            let Some((_, start)) = found[index] else {
                return String::new();
            };
            // The value ends before the `&` of the next key that is there.
            let end = found[index + 1..]
                .iter()
                .flatten()
                .next()
                .map_or(text.len(), |(next, _)| next - 1);
            text[start..end.max(start)].to_owned()
        };
        MailResult {
            env_id: value(0),
            msg_id: value(1),
            account: value(2),
            from: value(3),
            rcpt: value(4),
            recv_time: value(5),
            end_time: value(6),
            status: value(7),
            event: value(8),
            region: value(9),
            err_code: value(10),
            err_msg: value(11),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seed 000 (2), both samples.
    const GOOD: &str = "env_id=457323378&msg_id=77041400535408&account=test@test.com&from=test@test.com&rcpt=abc@abc.com&recv_time=2017-04-14 11:44:47&end_time=2017-04-14 11:44:48&status=0&event=deliver&region=cn-hangzhou&err_code=250&err_msg=250 Send Mail OK";
    const BAD: &str = "env_id=457323379&msg_id=77041400535409&account=test@test.com&from=test@test.com&rcpt=abc@abc.com&recv_time=2017-04-14 11:44:48&end_time=2017-04-14 11:44:49&status=2&event=deliver&region=cn-hangzhou&err_code=550&err_msg=550 No Such User";

    #[test]
    fn the_seeds_samples_survive_reading_and_writing() {
        for sample in [GOOD, BAD] {
            assert_eq!(MailResult::parse(sample).to_text(), sample);
        }
        assert_eq!(MailResult::parse(GOOD).err_msg, "250 Send Mail OK");
        assert_eq!(MailResult::parse(BAD).status, "2");
    }

    #[test]
    fn values_may_hold_ampersands_and_keys_may_be_missing() {
        let result = MailResult::parse(
            "X-Notify-Message-ID=1&env_id=7&tag=a&rcpt=x&y@z.com&status=4&err_msg=a&b=c&status=9",
        );
        assert_eq!(result.env_id, "7&tag=a");
        assert_eq!(result.rcpt, "x&y@z.com");
        assert_eq!(result.status, "4");
        assert_eq!(result.err_msg, "a&b=c&status=9");
        assert_eq!(result.region, "");
        assert_eq!(MailResult::parse(""), MailResult::default());
    }
}
