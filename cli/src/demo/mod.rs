//! `carillon demo`: the two tutorials of seed 000 (3.2 "new rule", 3.3 "default rule") and an HTTP push, end to end on
//! a temporary store and loopback ports. It goes through the same doors as any client, and fails if one notification
//! does not come out as expected.

mod receiver;
mod script;

use crate::client::Client;
use crate::failure::{Failure, Outcome};
use crate::output::{BAD, GOOD, HEADING, say};
use crate::up::{Running, Settings};
use clap::Args;
use receiver::Receiver;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

/// Run the tutorials of the MNS documents end to end, on a temporary store.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {}

/// Account of the seeds' sample messages; the demo's messages come out as the seeds print them.
const ACCOUNT: &str = "12345";

impl DemoArgs {
    pub(crate) fn run(&self) -> Outcome {
        let began = Instant::now();
        let folder = tempfile::tempdir()
            .map_err(|error| Failure::Unusable(format!("no temporary folder: {error}")))?;
        let runtime = crate::up::runtime()?;
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let receiver = runtime.block_on(Receiver::start(loopback))?;
        let settings = Settings {
            listen: loopback,
            account_id: ACCOUNT.to_owned(),
            // The demo's receiver listens on loopback, where pushes never go unless allowed.
            allow_endpoints: vec!["127.0.0.0/8".to_owned()],
            ..Settings::new(folder.path())
        };
        let service = runtime.block_on(Running::start(settings))?;
        let client = Client::new(&format!("http://{}", service.address()), None)?;

        say!(
            "{HEADING}Carillon demo{HEADING:#}: the tutorials of MNS event notification, end to end"
        );
        say!(
            "The service listens on http://{}, its store is temporary.\n",
            service.address()
        );
        let result = script::play(&client, &receiver);
        runtime.block_on(service.stop());

        let findings = result?;
        let took = began.elapsed().as_secs_f64();
        if findings == 0 {
            say!("{GOOD}All notifications came out as expected{GOOD:#} ({took:.1} s).");
            Ok(())
        } else {
            say!("{BAD}{findings} step(s) did not come out as expected.{BAD:#}");
            Err(Failure::Refused(
                "the demo found differences, see above".into(),
            ))
        }
    }
}
