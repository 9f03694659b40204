//! The page that shows the market, compiled into the program and served from the WebSocket port.

use crate::cli::exit::{Exit, Failure};
use corecast::Builder;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Path, content type and content of each file.
const FILES: [(&str, &str, &[u8]); 9] = [
    ("/", HTML, include_bytes!("../../assets/index.html")),
    ("/style.css", CSS, include_bytes!("../../assets/style.css")),
    ("/app.js", SCRIPT, include_bytes!("../../assets/app.js")),
    ("/market.js", SCRIPT, include_bytes!("../../assets/market.js")),
    ("/chat.js", SCRIPT, include_bytes!("../../assets/chat.js")),
    ("/plot.js", SCRIPT, include_bytes!("../../assets/plot.js")),
    ("/worker.js", SCRIPT, include_bytes!("../../assets/worker.js")),
    ("/feed.js", SCRIPT, include_bytes!("../../assets/feed.js")),
    ("/favicon.svg", "image/svg+xml", include_bytes!("../../assets/favicon.svg")),
];

/// Adds the page and what it needs.
///
/// # Errors
///
/// Never, unless the engine's table of pages is too small for it.
pub(crate) fn add(builder: Builder) -> Result<Builder, Failure> {
    FILES.into_iter().try_fold(builder, |builder, (path, content_type, content)| {
        builder.page(path, content_type, content).map_err(|e| Failure::new(Exit::Software, e))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str) -> &'static str {
        let file = FILES.iter().find(|file| file.0 == path).expect("a file");
        std::str::from_utf8(file.2).expect("UTF-8")
    }

    #[test]
    fn the_page_needs_nothing_but_its_own_files() {
        let files = |path: &str, before: &str| -> Vec<String> {
            let parts = text(path).split(before).skip(1);
            parts.filter_map(|rest| Some(format!("/{}", rest.split_once('"')?.0))).collect()
        };
        let mut wanted: Vec<_> =
            ["href=\"/", "src=\"/"].iter().flat_map(|before| files("/", before)).collect();
        for (path, ..) in FILES {
            wanted.extend(files(path, "from \"./"));
            wanted.extend(files(path, "new Worker(\"/"));
            let names_of_no_place = ["http://www.w3.org/2000/svg", "wss://example.org/feed"];
            let own = names_of_no_place.iter().fold(text(path).to_owned(), |t, n| t.replace(n, ""));
            assert!(!own.contains("http://") && !own.contains("https://"), "{path}");
        }
        assert!(wanted.len() >= FILES.len(), "{wanted:?}");
        for link in wanted {
            assert!(FILES.iter().any(|file| file.0 == link), "{link} is not served");
        }
    }

    #[test]
    fn the_page_is_small_beside_its_client() {
        let bytes = |file: &(&str, &str, &[u8])| file.2.len();
        let client = FILES.iter().filter(|file| file.0 == "/feed.js").map(bytes).sum::<usize>();
        let page = FILES.iter().map(bytes).sum::<usize>() - client;
        assert!(page < PAGE_BYTES_MAX && client < CLIENT_BYTES_MAX, "{page} and {client} bytes");
    }

    #[test]
    fn the_ids_that_scripts_name_are_there() {
        let html = text("/");
        for (path, ..) in FILES {
            for rest in text(path).split("byId(\"").skip(1) {
                let id = rest.split('"').next().expect("a first part");
                assert!(html.contains(&format!("id=\"{id}\"")), "{path} wants {id}");
            }
        }
        for id in ["ticker", "rate", "latency-p50", "latency-p99", "state"] {
            assert!(html.contains(&format!("id=\"{id}\"")), "{id}");
        }
    }

    const PAGE_BYTES_MAX: usize = 60_000;
    const CLIENT_BYTES_MAX: usize = 15_000;
}
