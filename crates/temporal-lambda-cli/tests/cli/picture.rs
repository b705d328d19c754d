//! `dev` on a terminal, as in the picture of the documentation.

use std::path::Path;
use std::time::{Duration, Instant};

use temporal_lambda_test_timing::test_timeout;
use vt100::Screen;

use crate::dev::{address, done};
use crate::support::{client, command, start};
use crate::svg;
use crate::terminal::{Terminal, rows};

/// The picture. It is taken anew where `RECORD_PICTURE` is set.
const PICTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/dev.svg");
/// What the picture's title shows, before the program.
const ARGUMENTS: [&str; 6] = ["--name", "hello", "--timeout", "2m", "--concurrency", "4"];
const ROWS: u16 = 40;
const COLUMNS: u16 = 138;
/// Environments that have work in the end: as many as there may be.
const BUSY: usize = 4;
/// How long an activity takes: until the test is over.
const NAP_MS: u64 = 55_000;
/// How long a call for another environment may take to be seen.
const CALL: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread")]
async fn the_picture_shows_what_a_terminal_shows() {
    let mut command = command();
    command.arg("dev").args(ARGUMENTS).args(["--port", "0", "--"]);
    command.arg(env!("CARGO_BIN_EXE_temporal-lambda")).arg("hello");
    let terminal = Terminal::start(command, ROWS, COLUMNS);
    let client = client(&address(&terminal.row("server at"))).await;
    terminal.row("hello:dev is current");
    terminal.row("done (Idle)");
    done(&start(&client, "HelloWorkflow", "hello", &"you".to_owned()).await).await;
    terminal.row("1 activity");
    // An activity that no environment has room for brings another one, unless one was called just
    // before: then the next activity does.
    let until = Instant::now() + test_timeout();
    let mut number = 0..;
    let screen = loop {
        let shown = terminal.shown().join("\n");
        assert!(Instant::now() < until, "fewer than {BUSY} environments poll:\n{shown}");
        let id = format!("nap-{}", number.next().unwrap());
        start(&client, "SleepWorkflow", &id, &NAP_MS).await;
        if let Some(screen) = terminal.within(CALL, |screen| polling(screen) == BUSY) {
            break screen;
        }
    };
    let title = format!("temporal-lambda dev {} -- temporal-lambda hello", ARGUMENTS.join(" "));
    if std::env::var_os("RECORD_PICTURE").is_some() {
        std::fs::create_dir_all(Path::new(PICTURE).parent().unwrap()).unwrap();
        std::fs::write(PICTURE, svg::picture(&screen, &title)).unwrap();
    }
    let seen: Vec<_> = terminal.rows().iter().map(|row| shape(row)).collect();
    let picture = std::fs::read_to_string(PICTURE).unwrap();
    assert!(picture.contains(&format!(">{title}<")), "the picture is of another command");
    assert!(laptop().contains(&title), "the page shows another command than the picture");
    let shown = svg::rows(&picture);
    assert!(shown.len() > 10, "{shown:?}");
    for row in shown {
        assert!(seen.contains(&shape(&row)), "no terminal shows {row:?}; see `RECORD_PICTURE`");
    }
}

/// The page that has the picture.
fn laptop() -> String {
    std::fs::read_to_string(Path::new(PICTURE).with_file_name("laptop.md")).unwrap()
}

/// How many environments have an invocation that polls.
fn polling(screen: &Screen) -> usize {
    let polling = |row: &str| row.starts_with("hello-dev/") && row.contains("Polling");
    rows(screen).iter().filter(|row| polling(row)).count()
}

/// A row without what differs from run to run: its numbers, its IDs, and how far things are apart.
fn shape(row: &str) -> String {
    let words = row.split_whitespace().map(|word| {
        if word.len() == 8 && word.chars().all(|c| c.is_ascii_hexdigit()) {
            return "ID".to_owned();
        }
        let mut shape: String =
            word.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        while shape.contains("00") {
            shape = shape.replace("00", "0");
        }
        shape
    });
    words.collect::<Vec<_>>().join(" ")
}
