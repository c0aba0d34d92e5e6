//! The files of `web/`, built into the program.

use crate::api::pages::Page;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! page {
    ($path:literal, $content_type:expr, $file:literal) => {
        Page {
            path: $path,
            content_type: $content_type,
            body: include_bytes!(concat!("../../web/", $file)),
        }
    };
}

pub const PAGES: &[Page] = &[
    page!("/", HTML, "index.html"),
    page!("/favicon.svg", SVG, "favicon.svg"),
    page!("/assets/style.css", CSS, "style.css"),
    page!("/assets/index.js", JAVASCRIPT, "index.js"),
    page!("/assets/api.js", JAVASCRIPT, "api.js"),
    page!("/assets/live.js", JAVASCRIPT, "live.js"),
    page!("/assets/payment.js", JAVASCRIPT, "payment.js"),
    page!("/assets/overview.js", JAVASCRIPT, "overview.js"),
    page!("/assets/dom.js", JAVASCRIPT, "dom.js"),
];
