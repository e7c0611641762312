//! How a catalogue is written down: one list of names and stable codes, and for each name a constant
//! of the same name that describes it, in the file that the list names. A name without a description,
//! or a description without a name, does not compile.

/// An enum of codes and its look-ups; `about` is what stands in the description.
macro_rules! catalogue {
    ($(#[doc = $doc:literal])+ $kind:ident: $( $name:ident = $code:literal in $file:ident; )+) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum $kind {
            $(
                #[doc = concat!("Code ", $code, ", described in `", stringify!($file), "`.")]
                $name = $code,
            )+
        }

        impl $kind {
            /// All of them, by code.
            pub const ALL: &'static [Self] = &[ $( Self::$name, )+ ];

            /// The stable code.
            #[must_use]
            pub const fn code(self) -> u16 {
                match self { $( Self::$name => $code, )+ }
            }

            /// The one of that code.
            #[must_use]
            pub fn find(code: u16) -> Option<Self> {
                Self::ALL.iter().copied().find(|it| it.code() == code)
            }

            /// The stable name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( Self::$name => stringify!($name), )+ }
            }

            /// What is known about it.
            #[must_use]
            pub const fn about(self) -> &'static About {
                match self { $( Self::$name => &$file::$name, )+ }
            }
        }
    };
}

pub(crate) use catalogue;
