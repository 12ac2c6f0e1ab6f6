//! The first steps towards a site, one by one: its name, a connection.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};

use super::Http;
use super::client::Root;
use crate::clock::{Deadline, Stopwatch};
use crate::config::HostPort;
use crate::domain::{ErrorCode, SiteError};
use crate::sites::{Step, StepResult};

impl Http {
    /// Looks up and connects to one address, telling each step. Whether it is worth going on.
    pub async fn reach(&self, root: usize, deadline: Deadline, tell: &mut (dyn FnMut(Step) + Send)) -> bool {
        let Some(target) = self.roots.get(root).map(|root| self.target(root)) else {
            return false;
        };
        let watch = Stopwatch::start();
        let found = look_up(&target, deadline).await;
        let took = watch.elapsed();
        let addresses = match found {
            Ok(addresses) => {
                let shown: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
                tell(Step {
                    name: "name",
                    result: StepResult::Ok(format!("{} is {}", target.host, shown.join(", "))),
                    took,
                });
                addresses
            }
            Err(error) => {
                tell(Step { name: "name", result: StepResult::Failed(error), took });
                return false;
            }
        };
        let watch = Stopwatch::start();
        let result = connect(&target, &addresses, deadline, self.connect_timeout).await;
        let connected = result.is_ok();
        tell(Step {
            name: "tcp",
            result: result.map_or_else(StepResult::Failed, StepResult::Ok),
            took: watch.elapsed(),
        });
        connected
    }

    /// What is connected to: the site, or what leads to it.
    fn target(&self, root: &Root) -> HostPort {
        self.leads_to.clone().unwrap_or_else(|| HostPort {
            host: root.url.host_str().unwrap_or("").trim_matches(['[', ']']).to_owned(),
            port: root.url.port_or_known_default().unwrap_or(0),
        })
    }
}

async fn look_up(target: &HostPort, deadline: Deadline) -> Result<Vec<SocketAddr>, SiteError> {
    let unknown = |why: String| {
        SiteError::new(ErrorCode::Unreachable, format!("the name {} is not known: {why}", target.host))
            .remedy("look at the spelling in `url`, and at this machine's name service")
    };
    match tokio::time::timeout_at(deadline.instant(), lookup_host((target.host.as_str(), target.port))).await {
        Err(_) => Err(SiteError::new(ErrorCode::Timeout, format!("looking up {} took too long", target.host))
            .remedy("look at this machine's name service")),
        Ok(Err(error)) => Err(unknown(error.to_string())),
        Ok(Ok(addresses)) => {
            let addresses: Vec<_> = addresses.collect();
            if addresses.is_empty() { Err(unknown("it has no address".to_owned())) } else { Ok(addresses) }
        }
    }
}

async fn connect(
    target: &HostPort,
    addresses: &[SocketAddr],
    deadline: Deadline,
    patience: Duration,
) -> Result<String, SiteError> {
    let host = format!("{}:{}", target.host, target.port);
    let deadline = deadline.min(Deadline::after(patience));
    match tokio::time::timeout_at(deadline.instant(), TcpStream::connect(addresses)).await {
        Ok(Ok(stream)) => Ok(stream.peer_addr().map_or_else(|_| host, |peer| format!("connected to {peer}"))),
        Ok(Err(error)) => Err(super::classify::of_io(&error, &host, &error.to_string())),
        Err(_) => Err(SiteError::new(ErrorCode::Timeout, format!("no connection to {host} within {patience:?}"))
            .remedy("look for a firewall that drops packets, and whether the host is up")),
    }
}
