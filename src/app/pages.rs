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
    page!("/reference", HTML, "reference.html"),
    page!(
        "/assets/reference/reference.css",
        CSS,
        "reference/reference.css"
    ),
    page!("/assets/reference/main.js", JAVASCRIPT, "reference/main.js"),
    page!(
        "/assets/reference/contents.js",
        JAVASCRIPT,
        "reference/contents.js"
    ),
    page!(
        "/assets/reference/documents.js",
        JAVASCRIPT,
        "reference/documents.js"
    ),
    page!(
        "/assets/reference/operation.js",
        JAVASCRIPT,
        "reference/operation.js"
    ),
    page!(
        "/assets/reference/schema.js",
        JAVASCRIPT,
        "reference/schema.js"
    ),
    page!("/assets/reference/code.js", JAVASCRIPT, "reference/code.js"),
    page!("/assets/reference/curl.js", JAVASCRIPT, "reference/curl.js"),
    page!(
        "/assets/reference/prose.js",
        JAVASCRIPT,
        "reference/prose.js"
    ),
    page!(
        "/assets/reference/webhooks.js",
        JAVASCRIPT,
        "reference/webhooks.js"
    ),
    page!(
        "/assets/reference/socket.js",
        JAVASCRIPT,
        "reference/socket.js"
    ),
    page!(
        "/assets/reference/errors.js",
        JAVASCRIPT,
        "reference/errors.js"
    ),
];
