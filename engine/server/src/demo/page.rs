//! The page that shows the market, compiled into the program and served from the WebSocket port.

use crate::cli::exit::{Exit, Failure};
use corecast::Builder;

/// Path, content type and content of each file.
const FILES: [(&str, &str, &[u8]); 4] = [
    ("/", "text/html; charset=utf-8", include_bytes!("../../assets/index.html")),
    ("/style.css", "text/css; charset=utf-8", include_bytes!("../../assets/style.css")),
    ("/app.js", "text/javascript; charset=utf-8", include_bytes!("../../assets/app.js")),
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
        let html = text("/");
        for link in html.split(['"', '\'']).filter(|part| part.starts_with('/')) {
            let known = FILES.iter().any(|file| file.0 == link);
            assert!(known, "{link} is not served");
        }
        for (path, ..) in FILES {
            let external = text(path).replace("http://www.w3.org/2000/svg", "");
            assert!(!external.contains("http://") && !external.contains("https://"), "{path}");
        }
    }

    #[test]
    fn the_ids_that_tests_read_are_there() {
        for id in ["ticker", "rate", "latency-p50", "latency-p99", "state"] {
            assert!(text("/").contains(&format!("id=\"{id}\"")), "{id}");
        }
    }
}
