//! Lengths that lie.

use corecast_tests::raw::{RawClient, Received};
use corecast_tests::server::TestServer;
use corecast_tests::siege::{KEPT_BYTES_MAX, Siege};
use eyre::{Result, WrapErr, ensure};

/// `message_bytes_max` of the server's defaults.
const MESSAGE_BYTES_MAX: u64 = 65_536;

#[test]
fn every_power_of_two_is_judged_by_its_header_alone() -> Result<()> {
    let siege = Siege::start(["--shards", "1"])?;
    let powers = (0..64).map(|k| 1_u64 << k);
    let around = powers.flat_map(|power| [power.wrapping_sub(1), power, power.saturating_add(1)]);
    let mut lengths = Vec::from_iter(around.chain([u64::MAX - 1, u64::MAX]));
    lengths.sort_unstable();
    lengths.dedup();
    for length in lengths {
        let mut long = vec![0x82, 0x80 | 127];
        long.extend(length.to_be_bytes());
        // Over the limit, too long for 63 bits, or not in its shortest form.
        let code = match length {
            0..=0xffff => Some(1002),
            0x1_0000..=MESSAGE_BYTES_MAX => None,
            0x8000_0000_0000_0000.. => Some(1002),
            _ => Some(1009),
        };
        check(&siege, &long, length, code).wrap_err_with(|| format!("64 bits for {length}"))?;
        if let Ok(short) = u16::try_from(length) {
            let mut middle = vec![0x82, 0x80 | 126];
            middle.extend(short.to_be_bytes());
            let code = (short < 126).then_some(1002);
            check(&siege, &middle, length, code).wrap_err_with(|| format!("16 bits: {length}"))?;
        }
    }
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

#[test]
fn a_declared_length_allocates_nothing() -> Result<()> {
    const SOCKETS: usize = 1_000;
    let config = "[connection]\nmessage_bytes_max = 1073741824\n";
    let siege = Siege::around(TestServer::start_with(config, ["--shards", "1"])?)?;
    let mut head = vec![0x82, 0x80 | 127];
    head.extend((1_u64 << 30).to_be_bytes());
    head.extend([0; 4]);
    let mut clients = Vec::new();
    for _ in 0..SOCKETS {
        let mut client = RawClient::open(siege.address(), "/echo")?;
        client.send(&head)?;
        client.send(b"a byte or two")?;
        clients.push(client);
    }
    let mut last = RawClient::open(siege.address(), "/echo")?;
    last.send(&corecast_tests::raw::frame(0x82, b"behind all others"))?;
    ensure!(last.receive()? == Received::Binary(b"behind all others".to_vec()));
    let each = siege.grown_bytes()? / SOCKETS as u64;
    ensure!(each <= 8192, "a declared GiB holds {each} bytes");
    println!("{each} bytes for each declared GiB");
    drop((clients, last));
    siege.finish(KEPT_BYTES_MAX)?;
    Ok(())
}

/// Sends the header; where it is good also the payload, which must come back.
fn check(siege: &Siege, head: &[u8], length: u64, code: Option<u16>) -> Result<()> {
    let mut client = RawClient::open(siege.address(), "/echo")?;
    client.send(head)?;
    client.send(&[0; 4])?;
    if let Some(code) = code {
        let closed = client.expect_close()?;
        ensure!(closed.0 == code, "{closed:?} instead of {code}");
    } else {
        let payload = vec![b'x'; usize::try_from(length)?];
        client.send(&payload)?;
        ensure!(client.receive()? == Received::Binary(payload), "it comes back");
    }
    Ok(())
}
