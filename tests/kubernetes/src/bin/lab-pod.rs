//! What the lab's own tests run in containers: a server, a client, and something that wants memory.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
};

use anyhow::{Context, bail};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", port, text] => serve(port.parse()?, text),
        ["get", address] => {
            println!("{}", get(address)?);
            Ok(())
        }
        ["eat", megabytes] => {
            eat(megabytes.parse()?);
            Ok(())
        }
        _ => bail!("serve PORT TEXT, get HOST:PORT or eat MEGABYTES"),
    }
}

/// Says `text` to everybody who has sent something, and ends the connection. Whoever goes before that is no trouble.
fn serve(port: u16, text: &str) -> anyhow::Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", port)).with_context(|| format!("port {port}"))?;
    println!("listening");
    for connection in listener.incoming() {
        let _ = answer(connection?, text);
    }
    Ok(())
}

fn answer(mut connection: TcpStream, text: &str) -> std::io::Result<()> {
    let mut request = [0; 1024];
    if connection.read(&mut request)? == 0 {
        return Ok(());
    }
    // Enough of HTTP for a probe, and readable for others.
    write!(connection, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{text}", text.len())
}

fn get(address: &str) -> anyhow::Result<String> {
    let mut connection = TcpStream::connect(address).with_context(|| address.to_owned())?;
    connection.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer.rsplit("\r\n").next().unwrap_or_default().to_owned())
}

/// Takes memory a page at a time, and keeps it.
fn eat(megabytes: usize) {
    let mut eaten = Vec::new();
    for _ in 0..megabytes {
        eaten.push(vec![1_u8; 1 << 20]);
        println!("{} MB", eaten.len());
    }
}
