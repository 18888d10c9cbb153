// SPDX-License-Identifier: GPL-2.0
//! nginx: clients outside get the bytes of the served directory, whole, and nothing that a link in it leads to.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::{ELSEWHERE, OTHER, OTHER_FILE, Program, Run, SECRET, fresh, link, read, write_own};

pub(super) const PROGRAM: Program = Program {
    name: "nginx",
    env: &[],
    prepare,
    works,
    outside,
};

const NGINX: &str = "/usr/sbin/nginx";
const PORT: u16 = 8734;

const SETTINGS: &str = r#"
daemon off;
worker_processes 2;
pid logs/nginx.pid;
error_log logs/error.log;
events { worker_connections 64; }
http {
    types { text/html html; application/octet-stream bin; }
    access_log logs/access.log;
    sendfile on;
    client_body_temp_path tmp/body; proxy_temp_path tmp/proxy; fastcgi_temp_path tmp/fastcgi;
    uwsgi_temp_path tmp/uwsgi; scgi_temp_path tmp/scgi;
    server {
        listen 127.0.0.1:8734;
        root root;
        location /list/ { autoindex on; }
        location /inbox/ { dav_methods PUT; create_full_put_path on; root /home/sandbox/www/tmp; }
        location /put/ { dav_methods PUT; root /home/sandbox/elsewhere; }
    }
}
"#;

/// A mebibyte in which no two places look alike.
fn large() -> Vec<u8> {
    (0..262_144u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect()
}

fn prepare() {
    let www = "/home/sandbox/www";
    let dirs = [
        "",
        "/root",
        "/root/list",
        "/root/list/.git",
        "/logs",
        "/tmp",
    ]
    .map(|dir| format!("{www}{dir}"));
    fresh(&dirs.each_ref().map(String::as_str));
    write_own(&format!("{www}/nginx.conf"), SETTINGS);
    write_own(&format!("{www}/root/index.html"), "<p>evf\n");
    write_own(&format!("{www}/root/large.bin"), large());
    write_own(&format!("{www}/root/list/one"), "1\n");
    link("index.html", &format!("{www}/root/stays.html"));
    write_own(&format!("{www}/root/.env"), format!("{SECRET}\n"));
    write_own(
        &format!("{www}/root/list/.git/config"),
        format!("{SECRET}\n"),
    );
    link("list/.git", &format!("{www}/root/shown"));
    link(OTHER_FILE, &format!("{www}/root/leads-out"));
    link(OTHER, &format!("{www}/root/directory-leads-out"));
    link(
        "../../../../srv/evf-other/file",
        &format!("{www}/root/leads-up"),
    );
    // Of the same user, even of the same server, but not to be served.
    link("../logs/access.log", &format!("{www}/root/log"));
    write_own(&format!("{ELSEWHERE}/own"), format!("{SECRET}\n"));
    link(&format!("{ELSEWHERE}/own"), &format!("{www}/root/own"));
}

/// A server that is ended when this goes.
struct Server(Child);

impl Server {
    fn start(run: &Run) -> Server {
        let mut command = run.start(NGINX);
        command
            .args(["-p", "/home/sandbox/www/", "-c", "nginx.conf"])
            .stdin(Stdio::null());
        let mut server = Server(command.spawn().expect("exec"));
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", PORT)).is_err() {
            let ended = server.0.try_wait().expect("wait");
            assert_eq!(ended, None, "nginx has ended: {}", errors());
            assert!(
                Instant::now() < deadline,
                "nginx does not listen: {}",
                errors()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// Asks it to end by SIGQUIT, which lets it end its workers; whether it said goodbye in order.
    fn quit(mut self) -> bool {
        let pid = read("/home/sandbox/www/logs/nginx.pid");
        super::shell(&format!("kill -QUIT {}", pid.trim()));
        self.0.wait().expect("wait").success()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already ended, unless a test has failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn errors() -> String {
    std::fs::read_to_string("/home/sandbox/www/logs/error.log").unwrap_or_default()
}

/// One request on a connection of its own: the status and the body of the answer.
fn ask(request: &str, body: &[u8]) -> (u32, Vec<u8>) {
    let mut stream = TcpStream::connect(("127.0.0.1", PORT)).expect("connect");
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .expect("timeout");
    let head = format!(
        "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("send");
    stream.write_all(body).expect("send");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("receive");
    let end = answer
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .expect("the end of the head");
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    (status.expect("a status"), answer[end + 4..].to_vec())
}

fn works(run: &Run) {
    let server = Server::start(run);
    assert_eq!(ask("GET /", b""), (200, b"<p>evf\n".to_vec()));
    assert_eq!(ask("GET /stays.html", b""), (200, b"<p>evf\n".to_vec()));
    assert!(ask("GET /large.bin", b"") == (200, large()), "another file");
    assert_eq!(ask("GET /none", b"").0, 404);
    let (status, list) = ask("GET /list/", b"");
    assert!(status == 200 && String::from_utf8_lossy(&list).contains("one"));
    // What is sent becomes a temporary file and is then moved.
    let sent = &large()[..100_000];
    assert_eq!(ask("PUT /inbox/sent", sent).0, 201, "{}", errors());
    let inbox = std::fs::read("/home/sandbox/www/tmp/inbox/sent");
    assert!(inbox.expect("read") == sent, "another file");
    // Both workers at once.
    let clients: Vec<_> = (0..8)
        .map(|_| std::thread::spawn(|| ask("GET /large.bin", b"") == (200, large())))
        .collect();
    assert!(
        clients
            .into_iter()
            .all(|client| client.join().expect("client"))
    );
    assert!(server.quit(), "{}", errors());
    let log = read("/home/sandbox/www/logs/access.log");
    assert_eq!(log.matches("GET /large.bin").count(), 9, "{log}");
    assert!(!errors().contains("denied"), "{}", errors());
}

fn outside(run: &Run) {
    prepare();
    let server = Server::start(run);
    for path in [
        "leads-out",
        "leads-up",
        "directory-leads-out/file",
        "own",
        "log",
    ] {
        let (status, body) = ask(&format!("GET /{path}"), b"");
        let told = format!(
            "{path}: {status} {}\n{}",
            String::from_utf8_lossy(&body),
            errors()
        );
        if run.confined() && path == "log" {
            // A log may be read by whoever writes it: the one thing that a policy of paths alone cannot tell apart.
            assert_eq!(status, 200, "{told}");
        } else if run.confined() {
            assert_eq!(status, 403, "{told}");
            assert!(!String::from_utf8_lossy(&body).contains(SECRET), "{told}");
        } else {
            assert_eq!(status, 200, "{told}");
        }
    }
    // What is granted but hidden within.
    for path in [
        ".env",
        "list/.git/config",
        "shown/config",
        "list/../.env",
        "list/.git/",
    ] {
        let (status, _) = ask(&format!("GET /{path}"), b"");
        let expected = if run.confined() { 404 } else { 200 };
        assert_eq!(status, expected, "{path}: {}", errors());
    }
    // Writing where nothing is granted.
    let made = format!("{ELSEWHERE}/put/made");
    std::fs::create_dir(format!("{ELSEWHERE}/put")).expect("mkdir");
    super::own(&format!("{ELSEWHERE}/put"), 1000);
    let (status, _) = ask("PUT /put/made", b"made");
    let is_there = std::fs::metadata(&made).is_ok();
    if run.confined() {
        assert!(status >= 400 && !is_there, "{status} {}", errors());
        assert!(errors().contains("Permission denied"), "{}", errors());
    } else {
        assert!(status == 201 && is_there, "{status} {}", errors());
    }
    assert!(server.quit());
}
