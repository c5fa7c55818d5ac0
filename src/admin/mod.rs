//! Scaffold.
#![allow(missing_docs, dead_code, reason = "scaffold")]
use std::net::SocketAddr;
use std::sync::Arc;
#[derive(Debug)]
pub struct Settings {
    pub http: SocketAddr,
    pub api: SocketAddr,
    pub token: Option<String>,
}
#[derive(Debug)]
pub struct Sources {
    pub engine: crate::engine::control::Handle,
    pub view: Arc<crate::answer::View>,
    pub workers: Vec<Arc<crate::answer::Counts>>,
    pub server: Arc<crate::server::Counters>,
    pub versions: Arc<crate::engine::CountedVersions>,
    pub resolver: crate::answer::Worker,
}
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct BindError;
#[derive(Debug)]
pub struct Bound(SocketAddr);
#[derive(Debug)]
pub struct Admin(Sources);
pub async fn bind(s: &Settings) -> Result<Bound, BindError> {
    Ok(Bound(s.http))
}
impl Bound {
    pub fn http(&self) -> SocketAddr {
        self.0
    }
    pub fn api(&self) -> SocketAddr {
        self.0
    }
    pub fn start(self, s: Sources) -> Admin {
        Admin(s)
    }
}
impl Admin {
    pub async fn shutdown(self) {}
}
