//! `crd`: the definition of the resource ServiceRollout, as text for an API server.

use serde_json::Value;

use crate::kubernetes::resource;

/// The definition, with what is to be known of it above.
///
/// # Errors
/// None that is known: the definition is a plain value.
pub(super) fn text() -> anyhow::Result<String> {
    let mut definition = serde_json::to_value(resource::definition())?;
    whole(&mut definition);
    let text = serde_saphyr::to_string(&definition)?;
    Ok(format!(
        "# The resource ServiceRollout, as `shiftdns crd` prints it. It is derived from src/kubernetes/resource, and a\n\
         # test holds the two together.\n{text}"
    ))
}

/// Writes 100 where the definition has 100.0: its bounds are numbers of any kind, and an API server gives them back as
/// they are shortest, so that who compares the two would see a difference.
fn whole(value: &mut Value) {
    match value {
        Value::Object(map) => map.values_mut().for_each(whole),
        Value::Array(list) => list.iter_mut().for_each(whole),
        Value::Number(number) => {
            let float = number
                .as_f64()
                .filter(|float| number.is_f64() && float.fract() == 0.0);
            // Bounds are far below what a float holds exactly.
            if let Some(integer) = float.and_then(|float| format!("{float:.0}").parse::<i64>().ok())
            {
                *value = integer.into();
            }
        }
        _ => {}
    }
}
