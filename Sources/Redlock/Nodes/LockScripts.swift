import PlantedBugs
package import Redis

/// What is run on a node, on all names of a hold at one go; `KEYS` are the names, and the first argument is the token.
package enum LockScripts {
    static let all = [acquire, extend, release]

    /// Stores the token under every name for so many milliseconds (the second argument), unless one is taken.
    ///
    /// For several names: one is stored by a plain `SET … NX PX`.
    static let acquire = RedisScript(
        """
        for i = 1, #KEYS do if redis.call('exists', KEYS[i]) == 1 then return 0 end end
        for i = 1, #KEYS do redis.call('set', KEYS[i], ARGV[1], 'px', ARGV[2]) end
        return 1
        """
    )

    /// Gives every name a new time to live (the second argument), if the token is still under all of them.
    ///
    /// Answers the least time to live that was left, or -3: Redis itself uses -1 and -2.
    static let extend = RedisScript(
        """
        local least
        for i = 1, #KEYS do
          if redis.call('get', KEYS[i]) ~= ARGV[1] then return -3 end
          local left = redis.call('pttl', KEYS[i])
          if not least or left < least then least = left end
        end
        for i = 1, #KEYS do redis.call('pexpire', KEYS[i], ARGV[2]) end
        return least
        """
        .planting(.extendWithoutToken, "get', KEYS[i]) ~= ARGV[1]", "exists', KEYS[i]) == 0")
    )

    /// Removes the names under which the token still is; answers how many.
    package static let release = RedisScript(
        """
        local count = 0
        for i = 1, #KEYS do
          if redis.call('get', KEYS[i]) == ARGV[1] then count = count + redis.call('del', KEYS[i]) end
        end
        return count
        """
        .planting(.releaseWithoutToken, "if redis.call('get', KEYS[i]) == ARGV[1]", "if true")
    )
}
