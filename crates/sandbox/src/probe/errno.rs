//! The names of errors and signals.

/// The name of an error number, such as `EPERM`.
pub fn name(number: i32) -> String {
    let named = ERRORS.iter().find(|(known, _)| *known == number);
    named.map_or_else(|| format!("error {number}"), |(_, name)| (*name).to_owned())
}

/// The name of a signal, such as `SIGSYS`.
pub fn signal(number: i32) -> String {
    let named = SIGNALS.iter().find(|(known, _)| *known == number);
    named.map_or_else(
        || format!("signal {number}"),
        |(_, name)| (*name).to_owned(),
    )
}

macro_rules! table {
    ($table:ident: $($name:ident)*) => {
        const $table: &[(i32, &str)] = &[$((libc::$name, stringify!($name))),*];
    };
}

table! { ERRORS:
    E2BIG EACCES EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EAGAIN EALREADY EBADF EBUSY ECHILD ECONNABORTED ECONNREFUSED
    ECONNRESET EDESTADDRREQ EDOM EDQUOT EEXIST EFAULT EFBIG EHOSTDOWN EHOSTUNREACH EINPROGRESS EINTR EINVAL EIO EISCONN
    EISDIR EKEYREJECTED ELOOP EMFILE EMLINK EMSGSIZE ENAMETOOLONG ENETDOWN ENETUNREACH ENFILE ENOBUFS ENODATA ENODEV
    ENOENT ENOEXEC ENOKEY ENOMEM ENOPROTOOPT ENOSPC ENOSYS ENOTBLK ENOTCONN ENOTDIR ENOTEMPTY ENOTSOCK ENOTTY ENXIO
    EOPNOTSUPP EOVERFLOW EPERM EPIPE EPROTO EPROTONOSUPPORT EPROTOTYPE ERANGE EROFS ESOCKTNOSUPPORT ESPIPE ESRCH ESTALE
    ETIMEDOUT ETXTBSY EUSERS EXDEV
}

table! { SIGNALS:
    SIGABRT SIGALRM SIGBUS SIGFPE SIGHUP SIGILL SIGINT SIGKILL SIGPIPE SIGQUIT SIGSEGV SIGSYS SIGTERM SIGTRAP SIGXCPU
    SIGXFSZ
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_name_is_called_by_it() {
        assert_eq!(name(libc::EPERM), "EPERM");
        assert_eq!(name(4000), "error 4000");
        assert_eq!(signal(libc::SIGSYS), "SIGSYS");
        assert_eq!(signal(64), "signal 64");
    }
}
