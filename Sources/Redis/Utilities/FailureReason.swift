import Glibc
import NIOCore
import NIOPosix
import NIOSSL

/// What the system or a library said, in a few words for ``RedisError/message``.
func failureReason(_ error: any Error) -> String {
    switch error {
    case let error as IOError:
        return String(cString: strerror(error.errnoCode)).lowercased()
    case let error as NIOConnectionError:
        // The addresses were tried in turn; what the last one said is what is left to say.
        if let last = error.connectionErrors.last { return failureReason(last.error) }
        return "the name \(error.host) was not found"
    case ChannelError.connectTimeout(let limit):
        return "no connection within \(limit.nanoseconds / 1_000_000) ms"
    case let error as RedisError:
        return error.message
    case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError:
        return "TLS: \(error)"
    default:
        return "\(error)"
    }
}
