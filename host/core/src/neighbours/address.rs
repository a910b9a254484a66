//! Where neighbours are, and which addresses count as one.

use core::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use super::NodeKey;

/// Where a neighbour is dialled: an IP address and a UDP port, or hidden from the policy (a host name, or nothing at all).
/// The policy looks at its [`Group`]s only. An IPv4 address inside an IPv6 one is that IPv4 address: else each would count twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NeighbourAddress(Option<SocketAddr>);

/// Addresses that probably belong to one owner, and so count as one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group([u8; 8]);

/// Ports below this are of well-known services. A node that listens there cannot be told of by others: whoever tells false hosts
/// could make many nodes send packets to a service that is none of theirs.
const FIRST_TOLD_PORT: u16 = 1024;

/// But for HTTPS, where firewalls leave nothing else open.
const HTTPS: u16 = 443;

impl NeighbourAddress {
    /// An address that the policy does not know.
    pub const HIDDEN: Self = Self(None);

    /// This socket address.
    pub fn at(address: SocketAddr) -> Self {
        Self(Some(SocketAddr::new(address.ip().to_canonical(), address.port())))
    }

    /// The socket address, if it is known.
    pub const fn socket(self) -> Option<SocketAddr> {
        self.0
    }

    /// The same host at another port.
    pub(super) fn with_port(self, port: u16) -> Self {
        Self(self.0.map(|address| SocketAddr::new(address.ip(), port)))
    }

    /// The addresses that one line or one rented server comes with: /24 of IPv4, /48 of IPv6; all local ones are one group, and so are all hidden ones.
    pub fn group(self) -> Group {
        match self.0.map(|address| address.ip()) {
            None => Group::HIDDEN,
            Some(ip) if is_local(ip) => Group::LOCAL,
            Some(IpAddr::V4(ip)) => Group::made(4, &ip.octets()[..3]),
            Some(IpAddr::V6(ip)) => Group::made(6, &ip.octets()[..6]),
        }
    }

    /// The addresses that one provider comes with: /16 of IPv4, /32 of IPv6.
    pub fn wide_group(self) -> Group {
        match self.0.map(|address| address.ip()) {
            None => Group::HIDDEN,
            Some(ip) if is_local(ip) => Group::LOCAL,
            Some(IpAddr::V4(ip)) => Group::made(0x14, &ip.octets()[..2]),
            Some(IpAddr::V6(ip)) => Group::made(0x16, &ip.octets()[..4]),
        }
    }

    /// The addresses that are one host: one of IPv4, a /64 of IPv6. Keys and ports cost nothing, so a host with thousands takes one place.
    pub(super) fn host(self) -> [u8; 9] {
        let mut host = [0; 9];
        match self.0.map(|address| address.ip()) {
            None => {}
            Some(IpAddr::V4(ip)) => {
                host[0] = 4;
                host[1..5].copy_from_slice(&ip.octets());
            }
            Some(IpAddr::V6(ip)) => {
                host[0] = 6;
                host[1..].copy_from_slice(&ip.octets()[..8]);
            }
        }
        host
    }

    /// Whether others may be told of it: reachable from everywhere, and not the port of a well-known service.
    pub fn is_public(self) -> bool {
        let Some(address) = self.0 else {
            return false;
        };
        let port = address.port();
        (port >= FIRST_TOLD_PORT || port == HTTPS)
            && match address.ip() {
                IpAddr::V4(ip) => is_public_v4(ip),
                IpAddr::V6(ip) => is_public_v6(ip),
            }
    }
}

/// Debug output may reach a log, so it does not hold the address.
impl fmt::Debug for NeighbourAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "NeighbourAddress(…)" } else { "NeighbourAddress(hidden)" })
    }
}

impl Group {
    /// All hidden addresses.
    pub const HIDDEN: Self = Self([0; 8]);
    /// All local addresses.
    pub const LOCAL: Self = Self([1, 0, 0, 0, 0, 0, 0, 0]);

    fn made(kind: u8, prefix: &[u8]) -> Self {
        let mut group = [0; 8];
        group[0] = kind;
        group[1..=prefix.len()].copy_from_slice(prefix);
        Self(group)
    }

    /// The group of a key alone, for somebody whose address is hidden.
    pub(super) fn of_key(key: NodeKey) -> Self {
        Self::made(2, &key.0[..7])
    }

    /// Whether it stands for a prefix of the internet.
    pub(super) fn is_prefix(self) -> bool {
        self.0[0] > 2
    }

    /// Its bytes, to be hashed or saved.
    pub(super) const fn bytes(self) -> [u8; 8] {
        self.0
    }

    /// The group with these bytes.
    pub(super) const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }
}

/// Debug output may reach a log, so it does not hold the prefix.
impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Group(…)")
    }
}

/// A number for two prefixes, the same on both sides and for everybody, as good as drawn by chance. `None` where an address says nothing.
pub(super) fn affinity(one: Group, other: Group) -> Option<u64> {
    if !one.is_prefix() || !other.is_prefix() {
        return None;
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"mute/1 neighbours affinity").update(&one.min(other).0).update(&one.max(other).0);
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    Some(u64::from_le_bytes(first))
}

/// Loopback, private and link-local networks: on the same machine or line as this node.
fn is_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let special = matches!((a, b, c), (192, 0, 0) | (192, 88, 99)) || (a == 198 && (b == 18 || b == 19));
    let plain = a != 0 && a < 224;
    plain && !shared && !special && !is_local(IpAddr::V4(ip)) && !ip.is_documentation()
}

/// Global unicast, but for what tunnels IPv4 (Teredo, 6to4), which would count an IPv4 host again and again, and documentation.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    match ip.segments() {
        [0x2001, 0 | 0xdb8, ..] | [0x2002, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> NeighbourAddress {
        NeighbourAddress::at(text.parse().expect("a socket address"))
    }

    #[test]
    fn prefixes_make_groups() {
        assert_eq!(at("8.8.8.1:5000").group(), at("8.8.8.200:6000").group());
        assert_ne!(at("8.8.8.1:5000").group(), at("8.8.9.1:5000").group());
        assert_eq!(at("8.8.8.1:5000").wide_group(), at("8.8.9.1:5000").wide_group());
        assert_ne!(at("8.8.8.1:5000").wide_group(), at("8.9.8.1:5000").wide_group());
        assert_eq!(at("[2a00:1:2:3::1]:5000").group(), at("[2a00:1:2:4::1]:5000").group());
        assert_ne!(at("[2a00:1:2:3::1]:5000").group(), at("[2a00:1:3:3::1]:5000").group());
        assert_eq!(at("[2a00:1:2:3::1]:5000").wide_group(), at("[2a00:1:3:3::1]:5000").wide_group());
        assert_eq!(at("[2a00:1:2:3::1]:5000").host(), at("[2a00:1:2:3:4::1]:6000").host());
        assert_eq!(at("10.0.0.1:1").group(), at("[fe80::1]:1").group());
        assert_eq!(NeighbourAddress::HIDDEN.group(), Group::HIDDEN);
    }

    #[test]
    fn an_ipv4_address_in_ipv6_is_that_address() {
        assert_eq!(at("[::ffff:8.8.8.1]:5000"), at("8.8.8.1:5000"));
    }

    #[test]
    fn only_what_all_can_reach_is_told() {
        for public in ["8.8.8.8:4848", "8.8.8.8:443", "[2a00:1::1]:4848", "223.1.1.1:65535"] {
            assert!(at(public).is_public(), "{public}");
        }
        for other in [
            "8.8.8.8:53",
            "8.8.8.8:0",
            "10.1.1.1:4848",
            "127.0.0.1:4848",
            "169.254.1.1:4848",
            "100.64.0.1:4848",
            "192.0.2.1:4848",
            "198.18.0.1:4848",
            "0.1.1.1:4848",
            "224.0.0.1:4848",
            "255.255.255.255:4848",
            "[::1]:4848",
            "[fe80::1]:4848",
            "[fd00::1]:4848",
            "[ff02::1]:4848",
            "[2001:db8::1]:4848",
            "[2001::1]:4848",
            "[2002:808:808::1]:4848",
            "[64:ff9b::808:808]:4848",
        ] {
            assert!(!at(other).is_public(), "{other}");
        }
        assert!(!NeighbourAddress::HIDDEN.is_public());
    }

    #[test]
    fn debug_output_tells_nothing() {
        let text = format!("{:?} {:?}", at("8.8.8.8:4848"), at("8.8.8.8:4848").group());
        assert_eq!(text, "NeighbourAddress(…) Group(…)");
    }
}
