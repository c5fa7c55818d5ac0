//! Clients: who asks, as far as answers that stay with a client tell clients apart.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::Sticky;
use crate::wire::{ClientSubnet, Edns, MalformedSubnet};

/// One client, or a network of which all hosts count as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Client {
    /// Its address as IPv6 writes it, the bits that do not count being zero.
    pub(super) number: u128,
    /// What the query told of it and the answer has to tell again.
    pub(super) subnet: Option<ClientSubnet>,
}

impl Client {
    /// By what `by` says, of the sender `peer` or of the client that `edns` tells.
    pub(super) fn of(
        by: Sticky,
        peer: IpAddr,
        edns: Option<&Edns<'_>>,
    ) -> Result<Self, MalformedSubnet> {
        let peer = peer.to_canonical();
        let bits = match by {
            Sticky::Source { bits } => bits,
            Sticky::Ecs | Sticky::Off => 32,
        };
        let mut client = Self {
            number: number(peer, bits),
            subnet: None,
        };
        let told = edns.and_then(|edns| edns.client_subnet);
        if let (Sticky::Ecs, Some(told)) = (by, told) {
            client.subnet = ClientSubnet::read(told)?;
        }
        // A prefix of nothing is a client who does not want to be told of: then the resolver is the client, and the
        // answer good for all of its clients (RFC 7871, section 7.1.2).
        if let Some(subnet) = client.subnet.filter(|subnet| subnet.source > 0) {
            client.number = number(subnet.address, 32);
        }
        Ok(client)
    }
}

/// `bits` are those of an IPv4 address; of an IPv6 address all count, or where a network of the other family is one
/// client, the 64 that a network has.
fn number(address: IpAddr, bits: u8) -> u128 {
    match address {
        IpAddr::V4(address) => {
            let beyond = 32_u32.saturating_sub(bits.into());
            let mask = u32::MAX.checked_shl(beyond).unwrap_or(0);
            let cut = Ipv4Addr::from_bits(address.to_bits() & mask);
            cut.to_ipv6_mapped().to_bits()
        }
        IpAddr::V6(address) if bits < 32 => address.to_bits() >> 64 << 64,
        IpAddr::V6(address) => Ipv6Addr::to_bits(address),
    }
}
