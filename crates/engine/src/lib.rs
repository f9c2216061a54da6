//! What a program is and how it runs.
