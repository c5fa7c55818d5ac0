//! Label and field selectors, as far as watches use them.

use serde_json::Value;

#[derive(Debug, Default)]
pub(super) struct Selection {
    labels: Vec<String>,
    fields: Vec<String>,
}

impl Selection {
    /// Both selectors, as the query says them.
    pub(super) fn parse(labels: Option<&str>, fields: Option<&str>) -> Self {
        let split = |text: Option<&str>| {
            let parts = text.unwrap_or_default().split(',').map(str::trim);
            parts.filter(|p| !p.is_empty()).map(str::to_owned).collect()
        };
        Self {
            labels: split(labels),
            fields: split(fields),
        }
    }

    /// Sets (`in (...)`) are not understood: whoever asks for one learns it here.
    pub(super) fn admits(&self, object: &Value) -> bool {
        let label = |key: &str| object["metadata"]["labels"][key].as_str();
        let field = |path: &str| {
            let pointer = format!("/{}", path.replace('.', "/"));
            object.pointer(&pointer).and_then(Value::as_str)
        };
        self.labels.iter().all(|text| admits(text, label))
            && self.fields.iter().all(|text| admits(text, field))
    }

    /// The line of a change, seen through the selectors; `None` where it is outside before and after.
    pub(super) fn event(
        &self,
        before: Option<(&Value, &str)>,
        after: Option<(&Value, &str)>,
    ) -> Option<String> {
        let inside =
            |side: Option<(&Value, &str)>| side.is_some_and(|(value, _)| self.admits(value));
        let (event, whole) = match (inside(before), inside(after)) {
            (false, false) => return None,
            (false, true) => ("ADDED", after),
            (true, true) => ("MODIFIED", after),
            (true, false) => ("DELETED", after.or(before)),
        };
        let (_, whole) = whole?;
        Some(format!(r#"{{"type":"{event}","object":{whole}}}"#))
    }
}

fn admits<'a>(text: &str, value: impl Fn(&str) -> Option<&'a str>) -> bool {
    assert!(!text.contains('('), "a set in a selector: {text}");
    if let Some((key, wanted)) = text.split_once("!=") {
        return value(key.trim()) != Some(wanted.trim());
    }
    if let Some((key, wanted)) = text.split_once('=') {
        let wanted = wanted.trim_start_matches('=').trim();
        return value(key.trim()).unwrap_or_default() == wanted;
    }
    match text.strip_prefix('!') {
        Some(key) => value(key.trim()).is_none(),
        None => value(text).is_some(),
    }
}
