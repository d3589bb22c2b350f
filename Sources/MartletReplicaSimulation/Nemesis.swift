internal import MartletBase
internal import MartletRaft
internal import MartletReplica
internal import MartletSimulation
internal import MartletStore

/// Brings misfortune over a cluster, one thing after another.
struct Nemesis: Sendable {
    let cluster: ReplicaCluster
    let chance: Chance

    private var world: SimWorld { cluster.world }
    private var profile: ClusterProfile { cluster.profile }

    /// Works until the time of faults is over.
    func work() async {
        guard !profile.faults.isEmpty else { return }
        while !cluster.isQuiet {
            try? await world.sleep(for: chance.duration(profile.respite))
            guard !cluster.isQuiet, let fault = chance.pick(profile.faults) else { return }
            await inject(fault)
        }
    }

    private func inject(_ fault: Fault) async {
        world.note("nemesis: \(fault)")
        switch fault {
        case .crash: if let machine = await victim() { await crash([machine]) }
        case .crashAll: if chance.one(in: 3) { await crash(cluster.machines) }
        case .pause: if let machine = await victim() { pause(machine) }
        case .partition: await partition()
        case .oneWay: blockOneWay()
        case .weather: world.network.weather = chance.pick(.fair, .foul, profile.network)
        case .diskStall: if let machine = await victim() { stall(machine) }
        case .diskFull: if let machine = await victim() { fill(machine) }
        case .diskError: await victim()?.disk.failNextSync()
        case .transfer: await transfer()
        case .replace: if chance.one(in: 2) { await replace() }
        case .rot: if chance.one(in: 2) { await rot() }
        }
    }

    /// A member; often the one that leads.
    private func victim() async -> Machine? {
        if chance.one(in: 2), let leader = await cluster.leader() { return leader }
        return chance.pick(cluster.machines.filter { $0.isUp })
    }

    /// Some while.
    private func aWhile() -> Duration {
        chance.duration(.milliseconds(10) ... .milliseconds(chance.pick(300, 1500, 5000)))
    }

    /// Does something after a while, unless all was put right meanwhile.
    private func later(_ action: @escaping @Sendable () -> Void) {
        world.after(aWhile()) { [cluster] in if !cluster.isQuiet { action() } }
    }

    // MARK: Members

    private func crash(_ machines: [Machine]) async {
        for machine in machines {
            world.note("\(machine.name) crashes")
            machine.crash(tellingOthers: chance.one(in: 2), world.network)
        }
    }

    private func pause(_ machine: Machine) {
        guard !machine.isPaused else { return }
        world.note("\(machine.name) is stopped")
        machine.pause()
        later { machine.resume() }
    }

    private func transfer() async {
        guard let to = chance.pick(cluster.machines.filter { $0.isUp }),
            let by = chance.pick(cluster.machines.filter { $0.isUp })
        else { return }
        world.spawn { [world, chance] in
            _ = await by.ask(in: world, chance) { try await $0.transferLeadership(to: to.member.number) }
        }
    }

    // MARK: The network

    private func partition() async {
        var groups: [[Int]] = [[], []]
        if chance.one(in: 2), let leader = await cluster.leader() {
            groups = [[leader.number], cluster.machines.map(\.number).filter { $0 != leader.number }]
        } else {
            for machine in cluster.machines { groups[chance.number(0...1)].append(machine.number) }
        }
        world.note("the network is cut between \(groups[0]) and \(groups[1])")
        world.network.partition(groups)
        later { world.network.heal() }
    }

    private func blockOneWay() {
        guard let from = chance.pick(cluster.machines), let to = chance.pick(cluster.machines), from !== to else {
            return
        }
        world.note("nothing passes from \(from.name) to \(to.name)")
        world.network.block(from: from.number, to: to.number)
        later { world.network.heal() }
    }

    // MARK: Disks

    private func stall(_ machine: Machine) {
        machine.disk.weather = DiskWeather(sync: .milliseconds(50) ... .seconds(2))
        later { machine.disk.weather = profile.disk }
    }

    private func fill(_ machine: Machine) {
        machine.disk.isFull = true
        later { machine.disk.isFull = false }
    }

    /// A disk rots while its member is down. It must refuse to start, and be replaced.
    private func rot() async {
        guard cluster.canLoseAMember, let machine = chance.pick(cluster.machines.filter { $0.isUp }) else { return }
        // A group that has not grown back yet cannot bear it.
        guard await cluster.voterCount() >= 3, cluster.canLoseAMember else { return }
        machine.crash(tellingOthers: true, world.network)
        guard machine.disk.rot() else { return }
        world.note("\(machine.name)'s disk rots")
        await cluster.replace(machine, chance)
    }

    private func replace() async {
        guard cluster.canLoseAMember, let machine = chance.pick(cluster.machines) else { return }
        world.note("\(machine.name) is to be replaced")
        await cluster.replace(machine, chance)
    }
}
