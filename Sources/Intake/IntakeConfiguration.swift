/// What an ``Intake`` is made with.
package struct IntakeConfiguration: Sendable {
    /// The address that it listens on; default loopback.
    package var host = "127.0.0.1"
    /// The port; default 3000, 0 takes any.
    package var port = 3000
    /// How long the simulated job of `POST /lockAndSetValue` takes; default 10 s.
    package var simulatedJob: Duration = .seconds(10)
    /// How long a connection may be silent; default 60 s.
    package var idleTimeout: Duration = .seconds(60)

    /// The defaults.
    package init() {}
}
