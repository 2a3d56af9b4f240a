//! Bodies with files: `multipart/form-data`, as small as Discord's clients use it.

use serde_json::Value;

/// What was said in JSON, and every file's bytes.
pub fn read(content_type: &str, body: &[u8]) -> Option<(Value, Vec<Vec<u8>>)> {
    let boundary = content_type.split_once("boundary=")?.1.split(';').next()?.trim_matches('"');
    let marker = format!("--{boundary}");
    let (mut said, mut files) = (Value::Null, Vec::new());
    let mut rest = after(body, marker.as_bytes())?;
    while !rest.starts_with(b"--") {
        let start = rest.strip_prefix(b"\r\n")?;
        let end = find(start, format!("\r\n{marker}").as_bytes())?;
        let (part, following) = start.split_at(end);
        rest = following.get(2 + marker.len()..)?;
        let head_ends = find(part, b"\r\n\r\n")?;
        let (head, content) = part.split_at(head_ends);
        let (head, content) = (String::from_utf8_lossy(head), &content[4..]);
        let name = head.split_once(" name=\"")?.1.split('"').next()?;
        match name {
            "payload_json" => said = serde_json::from_slice(content).ok()?,
            name if name.starts_with("files[") => files.push(content.to_vec()),
            _ => return None,
        }
    }
    Some((said, files))
}

fn find(within: &[u8], what: &[u8]) -> Option<usize> {
    within.windows(what.len()).position(|window| window == what)
}

fn after<'a>(within: &'a [u8], what: &[u8]) -> Option<&'a [u8]> {
    find(within, what).map(|at| &within[at + what.len()..])
}
