//! Every kind of step there is.
