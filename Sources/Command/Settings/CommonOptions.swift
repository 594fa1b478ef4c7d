import ArgumentParser
import Configuration

/// The flags that every part takes.
struct CommonOptions: ParsableArguments {
    @Option(
        name: .customLong("database-url"),
        help: ArgumentHelp(
            "The database: a libpq connection string or URI.",
            discussion: "HOLDFAST_DATABASE_URL, database.url. Several hosts may be named for failover.",
            valueName: "url"
        )
    )
    var databaseURL: String?

    @Flag(
        name: .customLong("no-prepared-statements"),
        help: ArgumentHelp(
            "Prepare no statements: for a pooler in transaction mode that does not know them, as PgBouncer before 1.21.",
            discussion: "HOLDFAST_DATABASE_PREPARED_STATEMENTS=false, database.preparedStatements: false."
        )
    )
    var noPreparedStatements = false

    @Option(
        name: .customLong("config"),
        help: ArgumentHelp(
            "A configuration file in YAML.",
            discussion: "HOLDFAST_CONFIG. Example: 'database: {url: …}' and 'lock: {nodes: [redis://r1:6379, …]}'.",
            valueName: "file"
        )
    )
    var configurationFile: String?

    @Option(
        name: .customLong("log-level"),
        help: ArgumentHelp(
            "trace, debug, info, notice, warning, error or critical; debug shows each job.",
            discussion: "HOLDFAST_LOG_LEVEL, log.level. Default: info.",
            valueName: "level"
        )
    )
    var logLevel: String?

    @Option(
        name: .customLong("log-format"),
        help: ArgumentHelp(
            "text or json.",
            discussion: "HOLDFAST_LOG_FORMAT, log.format. Default: text.",
            valueName: "format"
        )
    )
    var logFormat: String?

    /// What the flags set, by the keys of the configuration.
    var values: [String: String?] {
        [
            "database.url": databaseURL, "database.preparedStatements": noPreparedStatements ? "false" : nil,
            "log.level": logLevel, "log.format": logFormat,
        ]
    }
}

/// The flags that name Redis nodes.
struct NodeOptions: ParsableArguments {
    @Option(
        name: .customLong("lock-nodes"),
        help: ArgumentHelp(
            "The lock nodes: one, or an odd number, of redis:// or rediss:// URLs, separated by commas.",
            discussion: "HOLDFAST_LOCK_NODES, lock.nodes.",
            valueName: "urls"
        )
    )
    var lockNodes: String?

    @Option(
        name: .customLong("value-node"),
        help: ArgumentHelp(
            "The Redis node that has the values.",
            discussion: "HOLDFAST_VALUE_NODE, value.node. Default: the first lock node.",
            valueName: "url"
        )
    )
    var valueNode: String?

    /// What the flags set, by the keys of the configuration.
    var values: [String: String?] { ["lock.nodes": lockNodes, "value.node": valueNode] }
}
