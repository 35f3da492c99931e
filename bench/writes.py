"""What the services write, many times over, each time committed.

A function gets the services, the subjects and the number of the turn, and
returns what later functions need: the id of what it made.
"""

# Nobody gives the same name twice.
WORDS = (
    "заказы клиенты выгрузка платежи остатки склады договоры счета orders customers"
    " export payments stock warehouse contracts invoices reports employees sales"
).split()

CONNECTION = {
    "type": "postgres",
    "description": "a connection, and what it is good for",
    "connection_data": {"host": "db.example.com", "port": 5432, "database_name": "sales"},
    "auth_data": {"type": "basic", "user": "loader", "password": "secret"},
}
TRANSFER = {
    "description": "a transfer, and what it is good for",
    "is_scheduled": True,
    "schedule": "0 3 * * *",
    "strategy_params": {"type": "full"},
    "transformations": [],
}


def name(i):
    some = (WORDS[i % 19], WORDS[i // 19 % 19], WORDS[i * 7 % 19])
    return f"{some[0]} {some[1]}.{some[2]} {i * 7919 % 100003}"


def connection(subjects, i, **changes):
    host = f"db{i * 31 % 997}.{WORDS[8 + i % 11]}.example.com"
    return {
        **CONNECTION,
        "group_id": subjects.group,
        "name": f"new {name(i)}",
        "connection_data": {**CONNECTION["connection_data"], "host": host},
        **changes,
    }


def transfer(subjects, i, **changes):
    return {
        **TRANSFER,
        "group_id": subjects.group,
        "queue_id": subjects.new["queue"][0],
        "source_connection_id": subjects.new["connection"][0],
        "target_connection_id": subjects.new["connection"][1],
        "name": f"new {name(i)}",
        "source_params": table("schema_{0}.{1}_{2}", i),
        "target_params": table("dwh.{1}_{2}", i),
        **changes,
    }


def table(pattern, i):
    words = (i * 7 % 50, WORDS[8 + i % 11], i * 7919 % 5000)
    return {"type": "postgres", "table_name": pattern.format(*words)}


async def new_id(services, path, content):
    return (await services.request("POST", path, json=content))["id"]


async def create_user(services, subjects, i):
    await services.log_in(f"newcomer{i}")


async def create_group(services, subjects, i):
    return await new_id(services, "groups", {"name": f"Новый отдел {i}", "description": ""})


async def create_queue(services, subjects, i):
    return await new_id(
        services, "queues",
        {"name": f"new queue {i}", "group_id": subjects.group, "description": ""},
    )


async def create_connection(services, subjects, i):
    return await new_id(services, "connections", connection(subjects, i))


async def change_connection(services, subjects, i):
    await services.request(
        "PUT", f"connections/{subjects.new['connection'][i]}",
        json=connection(subjects, i, description=f"changed {i}"),
    )


async def create_transfer(services, subjects, i):
    return await new_id(services, "transfers", transfer(subjects, i))


async def change_transfer(services, subjects, i):
    await services.request(
        "PUT", f"transfers/{subjects.new['transfer'][i]}",
        json=transfer(subjects, i, description=f"changed {i}"),
    )


async def make_run(services, subjects, i):
    run = await new_id(services, "runs", {"transfer_id": subjects.new["transfer"][i]})
    services.work(run)


async def stop_run(services, subjects, i):
    run = await new_id(services, "runs", {"transfer_id": subjects.new["transfer"][i]})
    await services.request("POST", f"runs/{run}/stop")


# name, table, what makes one, under which name its ids are kept
WRITES = [
    ("create a user", create_user, None),
    ("create a group", create_group, None),
    ("create a queue", create_queue, "queue"),
    ("create a connection", create_connection, "connection"),
    ("change a connection", change_connection, None),
    ("create a transfer", create_transfer, "transfer"),
    ("change a transfer", change_transfer, None),
    ("a run, from start to end", make_run, None),
    ("a run that is stopped", stop_run, None),
]
