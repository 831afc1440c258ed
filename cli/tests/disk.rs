//! `carillon up` on a real file system that runs full, and on one that cannot be written: a tmpfs in a mount namespace of
//! its own, which needs no rights beyond those of an ordinary user where user namespaces are allowed. Where they are not,
//! the tests say so and do nothing.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![allow(clippy::print_stderr, reason = "a test that cannot run says why")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use support::Service;
use support::doors::{Doors, Told, furnish};

/// A process that holds a mount namespace with a small tmpfs in it.
struct Disk {
    holder: Child,
    folder: tempfile::TempDir,
}

impl Disk {
    /// None, with a word on stderr, where this machine does not allow it.
    fn of(size: &str) -> Option<Disk> {
        let folder = tempfile::tempdir().unwrap();
        let script = format!(
            "mount -t tmpfs -o size={size} tmpfs '{}' && echo mounted && exec cat",
            folder.path().display()
        );
        let started = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut holder) = started else {
            eprintln!("skipped: there is no `unshare` to make a mount namespace with");
            return None;
        };
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        if line.trim() != "mounted" {
            let _ = holder.wait();
            eprintln!("skipped: this machine allows no mounts in a user namespace");
            return None;
        }
        Some(Disk { holder, folder })
    }

    /// A path on the disk, as it is seen from here.
    fn seen(&self, name: &str) -> PathBuf {
        let root = format!("/proc/{}/root", self.holder.id());
        let inside = self.folder.path().strip_prefix("/").unwrap();
        Path::new(&root).join(inside).join(name)
    }

    /// A command that runs where the disk is mounted.
    fn inside(&self, program: &str) -> Command {
        let mut command = support::carillon();
        let carillon = command.get_program().to_owned();
        command = Command::new("nsenter");
        command
            .args(["--target", &self.holder.id().to_string()])
            .args(["--user", "--mount", "--preserve-credentials", "--"]);
        if program == "carillon" {
            command.arg(carillon);
        } else {
            command.arg(program);
        }
        command
    }

    fn up(&self) -> Command {
        let mut command = self.inside("carillon");
        command
            .args(["up", "--listen", "127.0.0.1:0", "--data"])
            .arg(self.folder.path().join("data"));
        command
    }

    fn remount(&self, how: &str) {
        let options = format!("remount,{how}");
        let status = self
            .inside("mount")
            .args(["-o", &options])
            .arg(self.folder.path())
            .status()
            .unwrap();
        assert!(status.success(), "cannot remount {how}");
    }

    /// Takes all but about so many bytes of the space.
    fn fill(&self, but: usize) {
        let mut file = std::fs::File::create(self.seen("filler")).unwrap();
        let piece = vec![7; 64 << 10];
        while file.write_all(&piece).is_ok() {}
        let length = file.metadata().unwrap().len();
        file.set_len(length.saturating_sub(but as u64)).unwrap();
    }

    fn release(&self) {
        std::fs::remove_file(self.seen("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The namespace, and the tmpfs with it, ends with its last process.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Publishes until it is refused; gives the refusal.
fn publish_until_refused(
    doors: &Doors,
    next: &mut u64,
    accepted: &mut BTreeSet<u64>,
) -> (u16, String) {
    for _ in 0..2_000 {
        let numbers = *next..*next + 4;
        *next = numbers.end;
        match doors.publish(numbers.clone(), 8_000) {
            Told::Accepted => accepted.extend(numbers),
            Told::Refused(status, text) => return (status, text),
            Told::Nothing => panic!("a full disk is no reason to give no answer"),
        }
    }
    panic!("the disk never ran full");
}

/// Receives until everything that was accepted has come.
fn drain(doors: &Doors, accepted: &BTreeSet<u64>) {
    let mut seen = BTreeMap::new();
    for _ in 0..6_000 {
        if doors.consume("q", &mut seen) == Some(0) {
            if accepted.iter().all(|number| seen.contains_key(number)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let lost: Vec<_> = accepted
        .iter()
        .filter(|number| !seen.contains_key(number))
        .collect();
    panic!("{} accepted events never came: {lost:?}", lost.len());
}

#[test]
fn on_a_full_disk_a_publisher_hears_why_and_nothing_accepted_is_lost() {
    let Some(disk) = Disk::of("48m") else { return };
    let service = Service::spawn(disk.up());
    furnish(&service, 30);
    let doors = Doors::of(&service.url);
    let (mut next, mut accepted) = (0, BTreeSet::new());

    disk.fill(3 << 20);
    let (status, text) = publish_until_refused(&doors, &mut next, &mut accepted);
    assert_eq!(status, 503, "{text}");
    assert!(
        text.contains("full"),
        "the reason names the full disk: {text}"
    );
    assert!(text.contains("not accepted"), "{text}");

    // Space comes back, and the same process goes on.
    disk.release();
    let recovered = (0..6_000).any(|_| {
        let numbers = next..next + 1;
        next += 1;
        let told = doors.publish(numbers.clone(), 100);
        if matches!(told, Told::Accepted) {
            accepted.extend(numbers);
            return true;
        }
        std::thread::sleep(Duration::from_millis(100));
        false
    });
    assert!(recovered, "space is back, and still nothing is accepted");
    drain(&doors, &accepted);
}

#[test]
fn a_service_killed_on_a_full_disk_finds_everything_again() {
    let Some(disk) = Disk::of("48m") else { return };
    let service = Service::spawn(disk.up());
    furnish(&service, 30);
    let doors = Doors::of(&service.url);
    let (mut next, mut accepted) = (0, BTreeSet::new());
    disk.fill(3 << 20);
    publish_until_refused(&doors, &mut next, &mut accepted);
    service.kill();
    disk.release();

    let service = Service::spawn(disk.up());
    drain(&Doors::of(&service.url), &accepted);
}

#[test]
fn a_disk_that_cannot_be_written_is_named_at_the_start_and_keeps_what_it_holds() {
    let Some(disk) = Disk::of("48m") else { return };
    let service = Service::spawn(disk.up());
    furnish(&service, 30);
    let doors = Doors::of(&service.url);
    let accepted: BTreeSet<u64> = (0..20).collect();
    assert!(matches!(doors.publish(0..20, 100), Told::Accepted));
    service.kill();

    disk.remount("ro");
    let ran = support::run(&mut disk.up(), "");
    let error = ran.fails(2);
    assert!(
        error.to_lowercase().contains("read-only") || error.contains("readonly"),
        "the reason names the read-only disk: {error}"
    );
    disk.remount("rw");

    let service = Service::spawn(disk.up());
    drain(&Doors::of(&service.url), &accepted);
}
