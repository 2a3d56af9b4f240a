//! How serde walks through tables, lists and enums of sections.

use serde::de::{self, DeserializeSeed, IntoDeserializer, value::StrDeserializer};

use super::{
    Entry, Node,
    node::{Error, KIND, Kind, Reader, SAME_TABLE},
    placeholder::Placeholder,
};

/// A list's values.
pub struct Items<'a> {
    list: Reader<'a>,
    rest: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
}

impl<'a> Items<'a> {
    pub fn new(list: &Reader<'a>, items: &'a [Node]) -> Self {
        Self { list: list.clone(), rest: items.iter().enumerate() }
    }
}

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        for (index, node) in self.rest.by_ref() {
            let path = self.list.path.then(index);
            if self.list.context.excluded.contains(&path) {
                continue;
            }
            let shape = format!("{}[]", self.list.shape);
            let reader =
                Reader { node, path: path.clone(), shape, context: self.list.context, claimed: Vec::new() };
            return seed.deserialize(reader).map(Some).map_err(|error| error.at(&path));
        }
        Ok(None)
    }
}

/// Where one value of a table comes from.
enum From<'a> {
    Entry(&'a Node),
    SameTable(Vec<&'static str>),
    StandIn,
}

/// A table's keys and values.
pub struct Entries<'a> {
    table: Reader<'a>,
    /// Keys are names that people chose, not a type's fields.
    named: bool,
    rest: std::vec::IntoIter<(&'a str, From<'a>)>,
    next: Option<(&'a str, From<'a>)>,
}

impl<'a> Entries<'a> {
    pub fn all(table: &Reader<'a>, entries: &'a [Entry]) -> Self {
        Self::new(table, true, Self::kept(table, entries).collect())
    }

    /// Only the type's own fields, with stand-ins for those that were found missing.
    pub fn fields(table: &Reader<'a>, entries: &'a [Entry], fields: &'static [&'static str]) -> Self {
        let mut found: Vec<_> = Self::kept(table, entries).filter(|(key, _)| fields.contains(key)).collect();
        if fields.contains(&SAME_TABLE) {
            let claimed = fields.iter().chain(&table.claimed).copied().collect();
            found.push((SAME_TABLE, From::SameTable(claimed)));
        }
        for field in
            fields.iter().filter(|field| table.context.absent.contains(&(table.path.clone(), **field)))
        {
            found.push((field, From::StandIn));
        }
        Self::new(table, false, found)
    }

    fn kept(table: &Reader<'a>, entries: &'a [Entry]) -> impl Iterator<Item = (&'a str, From<'a>)> {
        let kept = entries.iter().filter(|entry| {
            let path = table.path.then(entry.key.as_str());
            entry.key != SAME_TABLE && !table.context.excluded.contains(&path)
        });
        kept.map(|entry| (entry.key.as_str(), From::Entry(&entry.node)))
    }

    fn new(table: &Reader<'a>, named: bool, entries: Vec<(&'a str, From<'a>)>) -> Self {
        Self { table: table.clone(), named, rest: entries.into_iter(), next: None }
    }
}

impl<'de> de::MapAccess<'de> for Entries<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.next = self.rest.next();
        let Some((key, _)) = &self.next else { return Ok(None) };
        let path = self.table.path.then(*key);
        let key: StrDeserializer<'_, Error> = (*key).into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| error.at(&path))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Some((key, from)) = self.next.take() else {
            return Err(Error::wrong("a value was asked for before its key", None));
        };
        let table = &self.table;
        match from {
            From::Entry(node) => {
                let path = table.path.then(key);
                let shape = table.shape_of(if self.named { "NAME" } else { key });
                let context = table.context;
                let reader = Reader { node, path: path.clone(), shape, context, claimed: Vec::new() };
                seed.deserialize(reader).map_err(|error| error.at(&path))
            }
            From::SameTable(claimed) => {
                seed.deserialize(Reader { claimed, ..table.clone() }).map_err(|error| error.at(&table.path))
            }
            From::StandIn => seed
                .deserialize(Placeholder)
                .map_err(|_| Error { kind: Kind::NoStandIn, at: Some(table.path.clone()) }),
        }
    }
}

/// A table whose `kind` names an enum's variant.
pub struct Tagged<'a> {
    pub kind: &'a str,
    pub table: Reader<'a>,
}

impl<'de> de::EnumAccess<'de> for Tagged<'de> {
    type Error = Error;
    type Variant = Reader<'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Reader<'de>), Error> {
        let kind: StrDeserializer<'_, Error> = self.kind.into_deserializer();
        let mut table = self.table;
        table.claimed.push(KIND);
        Ok((seed.deserialize(kind)?, table))
    }
}

impl<'de> de::VariantAccess<'de> for Reader<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        de::Deserializer::deserialize_struct(self, "", &[], de::IgnoredAny).map(drop)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: de::Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        de::Deserializer::deserialize_any(self, visitor)
    }

    fn struct_variant<V: de::Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        de::Deserializer::deserialize_struct(self, "", fields, visitor)
    }
}
