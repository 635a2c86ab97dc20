//! A lab of two hosts and the wire between them: up, one TCP connection, down.
//! By halfopen, by bare netlink, by commands.

use std::error::Error;
use std::fs::File;
use std::io;
use std::net::{IpAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use halfopen_lab::Lab;
use halfopen_scenario::case::Family;

use super::floor::{self, Floor, here, inside};
use super::numbers::{Targets, Times, heading, ratio};
use super::shell;

const PORT: u16 = 7000;

/// Between two rounds, so that one does not pay for the clean-up of the one
/// before: the kernel takes namespaces down later, on a work queue
/// (cleanup_net()), which takes 20 to 40 ms.
const QUIET: Duration = Duration::from_millis(80);

/// Up, connect, down.
type Round = [Duration; 3];

type Arm = fn() -> Result<Round, Box<dyn Error>>;

pub fn measure(rounds: usize, targets: &mut Targets) -> Result<(), Box<dyn Error>> {
    shell::prepare()?;
    let arms: [(&str, Arm); 3] = [
        ("bare netlink", by_netlink),
        ("halfopen", by_lab),
        ("ip and nft in a shell", by_shell),
    ];
    let mut times: [[Times; 4]; 3] = Default::default();
    // The first round pays for what is done once a process.
    for round in 0..=rounds {
        for ((_, arm), columns) in arms.iter().zip(&mut times) {
            let measured = arm()?;
            std::thread::sleep(QUIET);
            if round > 0 {
                let total = measured.iter().sum();
                for (column, time) in columns.iter_mut().zip(measured.into_iter().chain([total])) {
                    column.push(time);
                }
            }
        }
    }
    heading("a lab of two hosts and the wire");
    for ((name, _), columns) in arms.iter().zip(&times) {
        for (phase, column) in ["up", "connect", "down", "all"].iter().zip(columns) {
            column.row(&format!("{name}: {phase}"));
        }
    }
    let [floor, lab, shell] = times.map(|[_, _, _, all]| all.median());
    let faster = ratio(shell, lab);
    targets.add(
        "a lab at least 10 times faster than by ip and nft",
        format!("{faster:.1}"),
        faster >= 10.0,
    );
    let above = ratio(lab, floor);
    targets.add(
        "a lab within twice the time of bare netlink",
        format!("{above:.2}"),
        above <= 2.0,
    );
    Ok(())
}

fn by_lab() -> Result<Round, Box<dyn Error>> {
    let start = Instant::now();
    let lab = one_lab()?;
    let up = start.elapsed();
    let sockets = connect_in(&lab)?;
    let connected = start.elapsed();
    drop(sockets);
    drop(lab);
    Ok([up, connected - up, start.elapsed() - connected])
}

pub fn one_lab() -> Result<Lab, Box<dyn Error>> {
    Ok(Lab::builder()
        .host("client")
        .host("server")
        .cable("client", "server")
        .build()?)
}

pub fn connect_in(lab: &Lab) -> Result<(TcpListener, TcpStream), Box<dyn Error>> {
    let server: (IpAddr, u16) = (lab.address("server", Family::Ipv4)?, PORT);
    let listener = lab.enter("server", || TcpListener::bind(server))??;
    let client = lab.enter("client", || TcpStream::connect(server))??;
    Ok((listener, client))
}

fn by_netlink() -> Result<Round, Box<dyn Error>> {
    let origin = here()?;
    let start = Instant::now();
    let network = Floor::up()?;
    let up = start.elapsed();
    let sockets = connect(&network.client, &network.server, &origin)?;
    let connected = start.elapsed();
    drop(sockets);
    drop(network);
    Ok([up, connected - up, start.elapsed() - connected])
}

fn by_shell() -> Result<Round, Box<dyn Error>> {
    let origin = here()?;
    let start = Instant::now();
    shell::up()?;
    let up = start.elapsed();
    let [client, server] = [shell::namespace("client")?, shell::namespace("server")?];
    let sockets = connect(&client, &server, &origin)?;
    let connected = start.elapsed();
    drop((sockets, client, server));
    shell::down()?;
    Ok([up, connected - up, start.elapsed() - connected])
}

fn connect(client: &File, server: &File, origin: &File) -> io::Result<(TcpListener, TcpStream)> {
    let address = (floor::SERVER, PORT);
    let listener = inside(server, origin, || TcpListener::bind(address))?;
    let stream = inside(client, origin, || TcpStream::connect(address))?;
    Ok((listener, stream))
}
