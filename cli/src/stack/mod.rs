//! Commands over a stack on AWS. The arguments are always known; what they do needs the feature `aws`, since nobody who
//! runs Carillon on one machine should compile the AWS SDK.

#[cfg(feature = "aws")]
mod access;
#[cfg(feature = "aws")]
mod bucket;
#[cfg(feature = "aws")]
mod console;
#[cfg(feature = "aws")]
mod deployed;
#[cfg(feature = "aws")]
mod notification;
#[cfg(feature = "aws")]
mod s3;

use crate::client::{Client, Keys};
use crate::failure::{Failure, Outcome};
use clap::{Args, Subcommand, ValueEnum};

/// Switch a bucket's notifications to a stack, or off again; what others configured there stays as it is.
#[derive(Debug, Args)]
pub(crate) struct BucketArgs {
    #[command(subcommand)]
    command: BucketCommand,
}

/// Which stack, and how to print.
#[derive(Clone, Debug, Args)]
#[cfg_attr(not(feature = "aws"), allow(dead_code))]
struct StackArgs {
    /// Name of the stack.
    #[arg(long, value_name = "NAME")]
    stack: String,
    /// Print JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// What a change may do without asking.
#[derive(Clone, Copy, Debug, Args)]
#[cfg_attr(not(feature = "aws"), allow(dead_code))]
struct ChangeArgs {
    /// Show what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Change it without asking.
    #[arg(long)]
    yes: bool,
}

/// The way a bucket's events take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Road {
    /// Straight to the events queue: the cheapest, and refused by S3 where another notification already takes the same
    /// events of the same objects.
    Queue,
    /// Over EventBridge's default bus: conflicts with nothing, costs 1 USD a million events, and needs a stack deployed
    /// with EventBridgeSource=true.
    Eventbridge,
}

#[derive(Debug, Subcommand)]
enum BucketCommand {
    /// Let a bucket tell the stack of its events. Reads what is configured, adds an entry, and reads again to see that
    /// everything is there. S3 offers no condition on this write: a change that somebody else makes in the moment between
    /// the read and the write is overwritten, unseen.
    Attach(AttachArgs),
    /// Take the stack's entries out of a bucket's notifications, and nothing else.
    Detach(DetachArgs),
    /// List the buckets that tell the stack of their events.
    List(ListArgs),
}

#[derive(Debug, Args)]
#[cfg_attr(not(feature = "aws"), allow(dead_code))]
struct AttachArgs {
    /// The bucket.
    bucket: String,
    #[command(flatten)]
    stack: StackArgs,
    #[command(flatten)]
    change: ChangeArgs,
    /// The way its events take.
    #[arg(long, value_enum, default_value_t = Road::Queue)]
    by: Road,
    /// Only events of this type, as S3 names them (`s3:ObjectCreated:*`). Again for each; none: all that S3 has.
    #[arg(long = "event", value_name = "TYPE")]
    events: Vec<String>,
    /// Only objects whose key begins so.
    #[arg(long, default_value = "")]
    prefix: String,
    /// Only objects whose key ends so.
    #[arg(long, default_value = "")]
    suffix: String,
}

#[derive(Debug, Args)]
#[cfg_attr(not(feature = "aws"), allow(dead_code))]
struct DetachArgs {
    /// The bucket.
    bucket: String,
    #[command(flatten)]
    stack: StackArgs,
    #[command(flatten)]
    change: ChangeArgs,
    /// The way to close. EventBridge is switched off for everybody who listens to the bucket there.
    #[arg(long, value_enum, default_value_t = Road::Queue)]
    by: Road,
}

#[derive(Debug, Args)]
#[cfg_attr(not(feature = "aws"), allow(dead_code))]
struct ListArgs {
    /// The buckets to look at; none: all of the account.
    buckets: Vec<String>,
    #[command(flatten)]
    stack: StackArgs,
}

/// Serve the management API of a stack on this machine, with your AWS credentials.
#[derive(Debug, Args)]
#[cfg_attr(not(feature = "aws"), allow(dead_code))]
pub(crate) struct ConsoleArgs {
    /// Name of the stack.
    #[arg(long, value_name = "NAME")]
    stack: String,
    /// Port on 127.0.0.1; 0: any free one.
    #[arg(long, value_name = "PORT", default_value_t = 9324)]
    port: u16,
}

#[cfg(feature = "aws")]
impl BucketArgs {
    pub(crate) fn run(&self) -> Outcome {
        match &self.command {
            BucketCommand::Attach(args) => bucket::attach(args),
            BucketCommand::Detach(args) => bucket::detach(args),
            BucketCommand::List(args) => bucket::list(args),
        }
    }
}

#[cfg(feature = "aws")]
impl ConsoleArgs {
    pub(crate) fn run(&self) -> Outcome {
        console::run(self)
    }
}

/// A client of the stack's control plane.
#[cfg(feature = "aws")]
pub(crate) fn client(stack: &str, keys: Option<Keys>) -> Result<Client, Failure> {
    deployed::client(stack, keys)
}

#[cfg(not(feature = "aws"))]
fn lacking() -> Failure {
    Failure::Unusable(
        "this build of the command knows no AWS: build it with `cargo install --path cli --features aws`".into(),
    )
}

#[cfg(not(feature = "aws"))]
impl BucketArgs {
    pub(crate) fn run(&self) -> Outcome {
        let (BucketCommand::Attach(_) | BucketCommand::Detach(_) | BucketCommand::List(_)) =
            &self.command;
        Err(lacking())
    }
}

#[cfg(not(feature = "aws"))]
impl ConsoleArgs {
    pub(crate) fn run(&self) -> Outcome {
        Err(lacking())
    }
}

/// A client of the stack's control plane.
#[cfg(not(feature = "aws"))]
pub(crate) fn client(_: &str, _: Option<Keys>) -> Result<Client, Failure> {
    Err(lacking())
}
