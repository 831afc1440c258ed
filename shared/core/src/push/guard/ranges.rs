//! The special ranges of IPv4 and IPv6 (IANA special-purpose registries, RFC 6890 and its successors), names that mean
//! "here", and ports of other protocols.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Addresses of metadata services: EC2 and most clouds, ECS tasks, Alibaba Cloud, Oracle Cloud, Azure's host.
pub(super) const METADATA_V4: [Ipv4Addr; 5] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
    Ipv4Addr::new(168, 63, 129, 16),
];

/// The same over IPv6: EC2, EKS pod identity, Google Cloud.
pub(super) const METADATA_V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

/// Names of metadata services, lower case.
pub(super) const METADATA_NAMES: [&str; 6] = [
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "instance-data",
    "instance-data.ec2.internal",
    "metadata.azure.internal",
];

/// Whether a lower-case name means this machine or its own network: `localhost` (RFC 6761), `.local` (RFC 6762),
/// `.internal` (reserved by ICANN), `.home.arpa` (RFC 8375), `.localdomain`, and names without a dot, which only a
/// search list of the local network can complete.
pub(super) fn is_local_name(name: &str) -> bool {
    const ENDINGS: [&str; 5] = ["localhost", "local", "internal", "home.arpa", "localdomain"];
    !name.contains('.')
        || ENDINGS.iter().any(|ending| {
            name.strip_suffix(ending)
                .is_some_and(|rest| rest.ends_with('.'))
        })
}

/// Ports from 1024 that belong to other protocols: those browsers refuse (Fetch standard, "bad port"), and databases
/// and control planes that speak lines or HTTP without a password.
pub(super) const FOREIGN_PORTS: [u16; 27] = [
    1719, 1720, 1723, 2049, 2375, 2376, 2379, 2380, 3306, 3659, 4045, 4190, 5060, 5061, 5432, 6000,
    6379, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080, 11211,
];

const fn v4(a: u8, b: u8, c: u8, d: u8) -> u32 {
    Ipv4Addr::new(a, b, c, d).to_bits()
}

/// First address, bits, meaning.
const SPECIAL_V4: &[(u32, u32, &str)] = &[
    (v4(0, 0, 0, 0), 8, "\"this network\" (RFC 791)"),
    (v4(10, 0, 0, 0), 8, "private (RFC 1918)"),
    (v4(100, 64, 0, 0), 10, "shared by a carrier (RFC 6598)"),
    (v4(127, 0, 0, 0), 8, "loopback (RFC 1122)"),
    (v4(169, 254, 0, 0), 16, "link-local (RFC 3927)"),
    (v4(172, 16, 0, 0), 12, "private (RFC 1918)"),
    (v4(192, 0, 0, 0), 24, "set aside for protocols (RFC 6890)"),
    (v4(192, 0, 2, 0), 24, "for documentation (RFC 5737)"),
    (v4(192, 88, 99, 0), 24, "a 6to4 relay (RFC 7526)"),
    (v4(192, 168, 0, 0), 16, "private (RFC 1918)"),
    (v4(198, 18, 0, 0), 15, "for benchmarks (RFC 2544)"),
    (v4(198, 51, 100, 0), 24, "for documentation (RFC 5737)"),
    (v4(203, 0, 113, 0), 24, "for documentation (RFC 5737)"),
    (v4(224, 0, 0, 0), 4, "multicast (RFC 5771)"),
    (v4(255, 255, 255, 255), 32, "broadcast (RFC 919)"),
    (v4(240, 0, 0, 0), 4, "reserved (RFC 1112)"),
];

/// The meaning of a special IPv4 address; none for a public one.
pub(super) fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    let bits = address.to_bits();
    SPECIAL_V4
        .iter()
        .find(|(first, width, _)| (bits ^ first) >> (32 - width) == 0)
        .map(|(_, _, what)| *what)
}

const fn v6(high: [u16; 4], low: [u16; 4]) -> u128 {
    Ipv6Addr::new(
        high[0], high[1], high[2], high[3], low[0], low[1], low[2], low[3],
    )
    .to_bits()
}

/// First address, bits, meaning. Order matters: narrow before wide.
const SPECIAL_V6: &[(u128, u32, &str)] = &[
    (0, 128, "unspecified (RFC 4291)"),
    (1, 128, "loopback (RFC 4291)"),
    (0, 96, "an IPv4-compatible address (RFC 4291, deprecated)"),
    (
        v6([0, 0, 0, 0], [0xffff, 0, 0, 0]),
        96,
        "a translated IPv4 address (RFC 2765)",
    ),
    (v6([0x64, 0xff9b, 0, 0], [0; 4]), 96, "NAT64 (RFC 6052)"),
    (
        v6([0x64, 0xff9b, 1, 0], [0; 4]),
        48,
        "local NAT64 (RFC 8215)",
    ),
    (v6([0x100, 0, 0, 0], [0; 4]), 64, "discarded (RFC 6666)"),
    (
        v6([0x100, 0, 0, 1], [0; 4]),
        64,
        "a dummy prefix (RFC 9780)",
    ),
    (v6([0x2001, 0, 0, 0], [0; 4]), 32, "Teredo (RFC 4380)"),
    (
        v6([0x2001, 2, 0, 0], [0; 4]),
        48,
        "for benchmarks (RFC 5180)",
    ),
    (
        v6([0x2001, 0x10, 0, 0], [0; 4]),
        28,
        "ORCHID (RFC 4843, deprecated)",
    ),
    (v6([0x2001, 0x20, 0, 0], [0; 4]), 28, "ORCHIDv2 (RFC 7343)"),
    (
        v6([0x2001, 0, 0, 0], [0; 4]),
        23,
        "set aside for protocols (RFC 2928)",
    ),
    (
        v6([0x2001, 0xdb8, 0, 0], [0; 4]),
        32,
        "for documentation (RFC 3849)",
    ),
    (v6([0x2002, 0, 0, 0], [0; 4]), 16, "6to4 (RFC 3056)"),
    (
        v6([0x3fff, 0, 0, 0], [0; 4]),
        20,
        "for documentation (RFC 9637)",
    ),
    (
        v6([0x5f00, 0, 0, 0], [0; 4]),
        16,
        "segment routing (RFC 9602)",
    ),
    (v6([0xfc00, 0, 0, 0], [0; 4]), 7, "unique local (RFC 4193)"),
    (v6([0xfe80, 0, 0, 0], [0; 4]), 10, "link-local (RFC 4291)"),
    (v6([0xfec0, 0, 0, 0], [0; 4]), 10, "site-local (RFC 3879)"),
    (v6([0xff00, 0, 0, 0], [0; 4]), 8, "multicast (RFC 4291)"),
];

/// The meaning of a special IPv6 address; none for a public one. Only 2000::/3 is given out to the public (RFC 4291,
/// IANA), so that all else is refused, known or not.
pub(super) fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    let bits = address.to_bits();
    let named = SPECIAL_V6
        .iter()
        .find(|(first, width, _)| (bits ^ first) >> (128 - width) == 0)
        .map(|(_, _, what)| *what);
    named.or_else(|| (bits >> 125 != 1).then_some("outside of 2000::/3, the public part of IPv6"))
}

/// The IPv4 address that a translator will dial for an IPv6 one: NAT64 with its well-known prefix, 6to4, translated and
/// compatible addresses.
pub(super) fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let low = |bits: u128| Ipv4Addr::from_bits((bits & 0xffff_ffff) as u32);
    let bits = address.to_bits();
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] | [0, 0, 0, 0, 0xffff, 0, _, _] => Some(low(bits)),
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => Some(low(bits)),
        [0x2002, ..] => Some(low(bits >> 80)),
        _ => None,
    }
}
