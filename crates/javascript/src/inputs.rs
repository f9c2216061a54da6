//! Values on their way into a script.

use jiter::JsonValue;
use rquickjs::object::Property;
use rquickjs::{Array, Ctx, Error, Function, Object, Result, String as Text, Value};

use crate::peek::Peek;

/// Up to here, both ways from 0, every whole number is a `number` of its own.
pub(crate) const MAX_WHOLE: i64 = 1 << 53;

/// Makes the object that scripts know as `inputs`. It has no prototype, so that every name is plain data.
///
/// # Errors
/// What is wrong with the JSON, as an error of conversion; the engine's, where memory ends.
pub(crate) fn read<'js>(peek: &Peek<'js>, json: &str) -> Result<Object<'js>> {
    let wrong = |why: String| Error::new_from_js_message("JSON", "inputs", why);
    let json = JsonValue::parse(json.as_bytes(), false).map_err(|why| wrong(why.to_string()))?;
    let JsonValue::Object(members) = &json else {
        return Err(wrong("they are no object".to_owned()));
    };
    let inputs = Object::new_proto(peek.ctx().clone(), None)?;
    for (name, member) in members.iter() {
        define(&inputs, name, value(peek, member)?)?;
    }
    Ok(inputs)
}

/// Gives an object a member, whatever its name is.
pub(crate) fn define<'js>(object: &Object<'js>, name: &str, value: Value<'js>) -> Result<()> {
    object.prop(
        name,
        Property::from(value).writable().enumerable().configurable(),
    )
}

// The parser itself stops at 200 levels, so the recursion here is bounded.
fn value<'js>(peek: &Peek<'js>, json: &JsonValue<'_>) -> Result<Value<'js>> {
    let ctx = peek.ctx();
    Ok(match json {
        JsonValue::Null => Value::new_null(ctx.clone()),
        JsonValue::Bool(truth) => Value::new_bool(ctx.clone(), *truth),
        JsonValue::Int(number) if number.abs_diff(0) <= MAX_WHOLE as u64 => whole(ctx, *number),
        JsonValue::Int(number) => big(peek, number.to_string())?,
        JsonValue::BigInt(number) => big(peek, number.to_string())?,
        JsonValue::Float(number) => Value::new_float(ctx.clone(), *number),
        JsonValue::Str(text) => Text::from_str(ctx.clone(), text)?.into_value(),
        JsonValue::Array(items) => {
            let list = Array::new(ctx.clone())?;
            for (index, item) in items.iter().enumerate() {
                list.set(index, value(peek, item)?)?;
            }
            list.into_value()
        }
        JsonValue::Object(members) => {
            let record = Object::new(ctx.clone())?;
            for (name, member) in members.iter() {
                define(&record, name, value(peek, member)?)?;
            }
            record.into_value()
        }
    })
}

fn whole<'js>(ctx: &Ctx<'js>, number: i64) -> Value<'js> {
    match i32::try_from(number) {
        Ok(small) => Value::new_int(ctx.clone(), small),
        Err(_) => Value::new_float(ctx.clone(), number as f64),
    }
}

fn big<'js>(peek: &Peek<'js>, digits: String) -> Result<Value<'js>> {
    peek.kept::<Function>("big")?.call((digits,))
}
