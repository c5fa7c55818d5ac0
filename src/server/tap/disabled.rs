//! Nothing: the program was built without the feature `dnstap`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::TapSettings;
use crate::answer::Transport;
use crate::server::Counters;

/// Copies nothing.
#[derive(Clone, Debug, Default)]
pub struct Tap(());

impl Tap {
    /// Nothing is copied. Settings are refused before they come here.
    ///
    /// # Errors
    /// None.
    pub fn start(_: TapSettings, _: &Arc<Counters>) -> std::io::Result<Self> {
        Ok(Self::default())
    }

    #[inline]
    pub(in crate::server) fn answered(
        &self,
        _: Transport,
        _: (IpAddr, u16),
        _: SocketAddr,
        _: &[u8],
        _: Option<&[u8]>,
    ) {
    }
}
