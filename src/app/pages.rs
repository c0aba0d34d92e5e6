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

/// A module that lies in a folder of its page.
macro_rules! module {
    ($file:literal) => {
        Page {
            path: concat!("/assets/", $file),
            content_type: JAVASCRIPT,
            readers: Readers::OwnPages,
            body: include_bytes!(concat!("../../web/", $file)),
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
    module!("pay/page.js"),
    module!("pay/view.js"),
    module!("pay/looks.js"),
    module!("pay/story.js"),
    module!("pay/hub.js"),
    module!("pay/clock.js"),
    module!("pay/money.js"),
    module!("pay/words.js"),
    module!("pay/strings.js"),
    page!("/admin", HTML, "admin/index.html"),
    page!("/assets/admin/admin.css", CSS, "admin/admin.css"),
    module!("admin/calls.js"),
    module!("admin/chains.js"),
    module!("admin/chart.js"),
    module!("admin/deliveries.js"),
    module!("admin/delivery-rows.js"),
    module!("admin/dialog.js"),
    module!("admin/endpoint-form.js"),
    module!("admin/endpoint.js"),
    module!("admin/endpoints.js"),
    module!("admin/hub.js"),
    module!("admin/keys.js"),
    module!("admin/line.js"),
    module!("admin/listing.js"),
    module!("admin/main.js"),
    module!("admin/morph.js"),
    module!("admin/overview.js"),
    module!("admin/parts.js"),
    module!("admin/payment.js"),
    module!("admin/payments.js"),
    module!("admin/recover.js"),
    module!("admin/router.js"),
    module!("admin/search.js"),
    module!("admin/session.js"),
    module!("admin/shell.js"),
    module!("admin/sign-in.js"),
    module!("admin/transfer.js"),
    module!("admin/transfers.js"),
    module!("admin/trends.js"),
    module!("admin/view.js"),
    module!("admin/words.js"),
    page!("/reference", HTML, "reference.html"),
    page!(
        "/assets/reference/reference.css",
        CSS,
        "reference/reference.css"
    ),
    module!("reference/main.js"),
    module!("reference/contents.js"),
    module!("reference/documents.js"),
    module!("reference/operation.js"),
    module!("reference/schema.js"),
    module!("reference/code.js"),
    module!("reference/curl.js"),
    module!("reference/prose.js"),
    module!("reference/webhooks.js"),
    module!("reference/socket.js"),
    module!("reference/errors.js"),
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
