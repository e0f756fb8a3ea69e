//! Strict JSON: converts a value to JSON, and treats NaN and the infinities as errors.
//!
//! `serde_json` writes them as `null`. A price that was divided by zero would then reach the customer as nothing, and no
//! one would notice.

use std::fmt::Display;

use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// Converts `value` to JSON.
///
/// # Errors
/// `value` contains NaN, an infinity, or a map with keys that are not strings; or its `Serialize` fails.
pub(super) fn to_value(value: &impl Serialize) -> Result<Value, serde_json::Error> {
    Strict(value).serialize(serde_json::value::Serializer)
}

/// A value with checked floats at any depth; also the serializer that checks them.
struct Strict<T>(T);

impl<T: Serialize + ?Sized> Serialize for Strict<&T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Strict(serializer))
    }
}

fn finite<E: serde::ser::Error>(number: f64) -> Result<(), E> {
    if number.is_finite() { Ok(()) } else { Err(E::custom(format_args!("JSON cannot express {number}"))) }
}

/// Methods that pass their arguments on unchanged.
macro_rules! pass_on {
    ($($method:ident($($argument:ident: $kind:ty),*);)*) => {$(
        fn $method(self, $($argument: $kind),*) -> Result<S::Ok, S::Error> {
            self.0.$method($($argument),*)
        }
    )*};
}

/// Methods that start a value with parts.
macro_rules! open {
    ($($method:ident($($argument:ident: $kind:ty),*) -> $part:ident;)*) => {$(
        fn $method(self, $($argument: $kind),*) -> Result<Self::$part, S::Error> {
            self.0.$method($($argument),*).map(Strict)
        }
    )*};
}

impl<S: Serializer> Serializer for Strict<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Strict<S::SerializeSeq>;
    type SerializeTuple = Strict<S::SerializeTuple>;
    type SerializeTupleStruct = Strict<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Strict<S::SerializeTupleVariant>;
    type SerializeMap = Strict<S::SerializeMap>;
    type SerializeStruct = Strict<S::SerializeStruct>;
    type SerializeStructVariant = Strict<S::SerializeStructVariant>;

    fn serialize_f32(self, number: f32) -> Result<S::Ok, S::Error> {
        finite(f64::from(number))?;
        self.0.serialize_f32(number)
    }

    fn serialize_f64(self, number: f64) -> Result<S::Ok, S::Error> {
        finite(number)?;
        self.0.serialize_f64(number)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_some(&Strict(value))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_struct(name, &Strict(value))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_variant(name, index, variant, &Strict(value))
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.collect_str(value)
    }

    pass_on! {
        serialize_bool(value: bool);
        serialize_i8(value: i8);
        serialize_i16(value: i16);
        serialize_i32(value: i32);
        serialize_i64(value: i64);
        serialize_i128(value: i128);
        serialize_u8(value: u8);
        serialize_u16(value: u16);
        serialize_u32(value: u32);
        serialize_u64(value: u64);
        serialize_u128(value: u128);
        serialize_char(value: char);
        serialize_str(value: &str);
        serialize_bytes(value: &[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(name: &'static str);
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str);
    }

    open! {
        serialize_seq(length: Option<usize>) -> SerializeSeq;
        serialize_tuple(length: usize) -> SerializeTuple;
        serialize_tuple_struct(name: &'static str, length: usize) -> SerializeTupleStruct;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, length: usize) -> SerializeTupleVariant;
        serialize_map(length: Option<usize>) -> SerializeMap;
        serialize_struct(name: &'static str, length: usize) -> SerializeStruct;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, length: usize) -> SerializeStructVariant;
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

/// Serializers of values with parts: each part is checked, and then passed on.
macro_rules! parts {
    ($($kind:ident: $method:ident($($key:ident: $key_type:ty)?);)*) => {$(
        impl<S: $kind> $kind for Strict<S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, $($key: $key_type,)? part: &T) -> Result<(), S::Error> {
                self.0.$method($($key,)? &Strict(part))
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.0.end()
            }
        }
    )*};
}

parts! {
    SerializeSeq: serialize_element();
    SerializeTuple: serialize_element();
    SerializeTupleStruct: serialize_field();
    SerializeTupleVariant: serialize_field();
    SerializeStruct: serialize_field(key: &'static str);
    SerializeStructVariant: serialize_field(key: &'static str);
}

impl<S: SerializeMap> SerializeMap for Strict<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), S::Error> {
        self.0.serialize_key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        self.0.serialize_value(&Strict(value))
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.0.end()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    #[derive(Serialize)]
    struct Unit;
    #[derive(Serialize)]
    struct Newtype(f64);
    #[derive(Serialize)]
    struct Pair(f64, u8);
    #[derive(Serialize)]
    struct Named {
        value: Option<f64>,
    }
    #[derive(Serialize)]
    enum Either {
        Unit,
        Newtype(f64),
        Pair(f64, u8),
        Named { value: f64 },
    }

    /// One value of each shape that contains a float.
    fn shapes(number: f64) -> [(&'static str, Result<Value, serde_json::Error>); 11] {
        #[allow(clippy::cast_possible_truncation, reason = "NaN and the infinities stay what they are")]
        let single = number as f32;
        [
            ("f64", to_value(&number)),
            ("f32", to_value(&single)),
            ("list", to_value(&[number])),
            ("tuple", to_value(&(1, number))),
            ("map", to_value(&BTreeMap::from([("key", vec![Some(number)])]))),
            ("newtype", to_value(&Newtype(number))),
            ("pair", to_value(&Pair(number, 1))),
            ("named", to_value(&Named { value: Some(number) })),
            ("newtype variant", to_value(&Either::Newtype(number))),
            ("pair variant", to_value(&Either::Pair(number, 1))),
            ("named variant", to_value(&Either::Named { value: number })),
        ]
    }

    #[test]
    fn float_that_json_cannot_express_is_an_error_in_each_shape() {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for (shape, value) in shapes(number) {
                let error = value.expect_err(shape).to_string();
                assert!(error.contains("JSON cannot express"), "{shape}: {error}");
            }
        }
        for (shape, value) in shapes(1.5) {
            assert!(value.unwrap_or_else(|error| panic!("{shape}: {error}")).to_string().contains("1.5"));
        }
    }

    #[test]
    fn other_values_are_converted_as_serde_json_does() {
        let map = BTreeMap::from([(7_u8, 'x')]);
        let all = (true, -1_i8, 2_u64, u128::from(u64::MAX), i128::from(i64::MIN), ("text", b"bytes"), map);
        assert_eq!(to_value(&all).unwrap(), serde_json::to_value(&all).unwrap());
        let more =
            (Unit, Either::Unit, None::<u8>, (), std::net::Ipv4Addr::LOCALHOST, json!({ "a": [1, null] }));
        assert_eq!(to_value(&more).unwrap(), serde_json::to_value(&more).unwrap());
        assert!(to_value(&BTreeMap::from([((1, 2), 3)])).is_err(), "a key that is not a string");
        assert!(to_value(&u128::MAX).is_err(), "a number that does not fit");
    }
}
