import Foundation
import NIOCore
import ServiceLifecycle

/// A service that listens; says where it was to, when it cannot.
struct Listening<Server: Service>: Service {
    let server: Server
    let host: String
    let port: Int

    func run() async throws {
        do {
            try await server.run()
        } catch let error as IOError {
            throw CannotListen(host: host, port: port, reason: String(cString: strerror(error.errnoCode)))
        }
    }
}

/// The address is somebody else's, or none of this machine's.
struct CannotListen: Error, CustomStringConvertible {
    let host: String
    let port: Int
    let reason: String
    var description: String { "cannot listen on \(host), port \(port): \(reason)" }
}
