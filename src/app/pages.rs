//! The files of `web/`, built into the program.

use crate::api::pages::{Page, Readers};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
/// Browsers show it, compilers do not care.
const TYPES: &str = "text/plain; charset=utf-8";

macro_rules! page {
    ($path:literal, $content_type:expr, $file:literal) => {
        page!($path, $content_type, $file, Readers::OwnPages)
    };
    ($path:literal, $content_type:expr, $file:literal, $readers:expr) => {
        Page {
            path: $path,
            content_type: $content_type,
            readers: $readers,
            body: include_bytes!(concat!("../../web/", $file)),
        }
    };
}

/// A module of the dashboard.
macro_rules! dashboard {
    ($file:literal) => {
        Page {
            path: concat!("/assets/admin/", $file),
            content_type: JAVASCRIPT,
            readers: Readers::OwnPages,
            body: include_bytes!(concat!("../../web/admin/", $file)),
        }
    };
}

pub const PAGES: &[Page] = &[
    page!("/", HTML, "index.html"),
    page!("/pay/{id}", HTML, "pay.html"),
    page!("/paybell.js", JAVASCRIPT, "paybell.js", Readers::AllPages),
    page!("/paybell.d.ts", TYPES, "paybell.d.ts", Readers::AllPages),
    page!("/favicon.svg", SVG, "favicon.svg"),
    page!("/assets/style.css", CSS, "style.css"),
    page!("/assets/index.js", JAVASCRIPT, "index.js"),
    page!("/assets/api.js", JAVASCRIPT, "api.js"),
    page!("/assets/payment.js", JAVASCRIPT, "payment.js"),
    page!("/assets/overview.js", JAVASCRIPT, "overview.js"),
    page!("/assets/dom.js", JAVASCRIPT, "dom.js"),
    page!("/assets/pay/pay.css", CSS, "pay/pay.css"),
    page!("/assets/pay/page.js", JAVASCRIPT, "pay/page.js"),
    page!("/assets/pay/view.js", JAVASCRIPT, "pay/view.js"),
    page!("/assets/pay/looks.js", JAVASCRIPT, "pay/looks.js"),
    page!("/assets/pay/story.js", JAVASCRIPT, "pay/story.js"),
    page!("/assets/pay/hub.js", JAVASCRIPT, "pay/hub.js"),
    page!("/assets/pay/clock.js", JAVASCRIPT, "pay/clock.js"),
    page!("/assets/pay/money.js", JAVASCRIPT, "pay/money.js"),
    page!("/assets/pay/words.js", JAVASCRIPT, "pay/words.js"),
    page!("/assets/pay/strings.js", JAVASCRIPT, "pay/strings.js"),
    page!("/admin", HTML, "admin/index.html"),
    page!("/assets/admin/admin.css", CSS, "admin/admin.css"),
    dashboard!("calls.js"),
    dashboard!("chains.js"),
    dashboard!("chart.js"),
    dashboard!("deliveries.js"),
    dashboard!("delivery-rows.js"),
    dashboard!("dialog.js"),
    dashboard!("endpoint-form.js"),
    dashboard!("endpoint.js"),
    dashboard!("endpoints.js"),
    dashboard!("hub.js"),
    dashboard!("keys.js"),
    dashboard!("line.js"),
    dashboard!("listing.js"),
    dashboard!("main.js"),
    dashboard!("morph.js"),
    dashboard!("overview.js"),
    dashboard!("parts.js"),
    dashboard!("payment.js"),
    dashboard!("payments.js"),
    dashboard!("recover.js"),
    dashboard!("router.js"),
    dashboard!("search.js"),
    dashboard!("session.js"),
    dashboard!("shell.js"),
    dashboard!("sign-in.js"),
    dashboard!("transfer.js"),
    dashboard!("transfers.js"),
    dashboard!("trends.js"),
    dashboard!("view.js"),
    dashboard!("words.js"),
];

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::PAGES;

    fn files(folder: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).expect("a folder of the sources");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths
            .flat_map(|path| {
                if path.is_dir() {
                    files(&path)
                } else {
                    vec![path]
                }
            })
            .collect()
    }

    #[test]
    fn every_file_of_web_is_served_as_it_is() {
        let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        for path in files(&web) {
            let body = std::fs::read(&path).expect("a file of the sources");
            assert!(
                PAGES.iter().any(|page| page.body == body),
                "{} is not in PAGES",
                path.display()
            );
        }
    }

    #[test]
    fn no_two_pages_share_a_path() {
        let mut paths: Vec<_> = PAGES.iter().map(|page| page.path).collect();
        paths.sort_unstable();
        let all = paths.len();
        paths.dedup();
        assert_eq!(paths.len(), all);
    }
}
