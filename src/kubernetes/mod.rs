//! Kubernetes: the resource of ours, for an API server.

pub mod resource;
