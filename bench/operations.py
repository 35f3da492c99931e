"""What the services read and delete, one by one.

Each is a name and a function of the services and of a subject: the rows that it
is about.  They are chosen by size, so that they are the same in every data set
of the same scale.
"""

from types import SimpleNamespace

SUBJECTS = {
    "superuser": 'SELECT username FROM "user" WHERE is_superuser LIMIT 1',
    # the group with most transfers, and who owns it
    "group": "SELECT group_id FROM transfer GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1",
    "small_group": "SELECT group_id FROM transfer GROUP BY 1 ORDER BY abs(count(*) - 25), 1 LIMIT 1",
    "member": """SELECT u.username FROM "user" u JOIN user_group g ON g.user_id = u.id
        WHERE is_active AND NOT is_superuser AND g.group_id = {group}
            AND g.role = 'Maintainer' ORDER BY u.id LIMIT 1""",
    "group_name": 'SELECT name FROM "group" WHERE id = {small_group}',
    # runs
    "hot": "SELECT transfer_id FROM run GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1",
    "cold": """SELECT transfer_id FROM run JOIN transfer t ON t.id = transfer_id
        GROUP BY 1 ORDER BY abs(count(*) - 5), 1 LIMIT 1""",
    "run": "SELECT max(id) FROM run WHERE transfer_id = {hot} AND status = 'FINISHED'",
    "recently": "SELECT max(started_at) - interval '7 days' FROM run",
    # transfers
    "updated": "SELECT max(updated_at) FROM transfer",
    "updated_before": """SELECT updated_at FROM transfer ORDER BY updated_at DESC
        OFFSET 10 LIMIT 1""",
    "transfer": "SELECT min(id) FROM transfer WHERE group_id = {group}",
    "connection": """SELECT source_connection_id FROM transfer WHERE group_id = {group}
        GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1""",
    "idle_connection": """SELECT min(c.id) FROM connection c WHERE NOT EXISTS
        (SELECT FROM transfer t WHERE c.id IN (source_connection_id, target_connection_id))""",
    # queues, by the number of their transfers
    "queue": "SELECT queue_id FROM transfer GROUP BY 1 ORDER BY abs(count(*) - 221), 1 LIMIT 1",
    "queue_group": "SELECT group_id FROM queue WHERE id = {queue}",
    "empty_queue": """SELECT min(id) FROM queue q
        WHERE NOT EXISTS (SELECT FROM transfer t WHERE t.queue_id = q.id)""",
    # what is deleted with all that belongs to it
    "group_of_queues": """SELECT group_id FROM queue GROUP BY 1 ORDER BY
        abs(count(*) - 7), (SELECT count(*) FROM transfer t
        WHERE t.group_id = queue.group_id), 1 LIMIT 1""",
    "owner": """SELECT owner_id FROM queue q JOIN "group" g ON g.id = q.group_id
        JOIN "user" u ON u.id = owner_id WHERE NOT is_superuser
        GROUP BY 1 ORDER BY abs(count(*) - 10) > 1, (SELECT count(*) FROM transfer t
        JOIN "group" o ON o.id = t.group_id WHERE o.owner_id = g.owner_id), 1 LIMIT 1""",
    # all that the scheduler knows about
    "jobs": "SELECT array_agg(id::bigint ORDER BY id) FROM apscheduler_jobs",
}


def choose_subjects(server, database):
    subjects = {}
    for name, sql in SUBJECTS.items():
        rows = server.query(database, sql.format(**subjects))
        if not rows or rows[0][0] is None:
            raise RuntimeError(f"the data set has no {name}")
        subjects[name] = rows[0][0]
    return SimpleNamespace(**subjects)


# name: who logs in, and what is asked for
READS = {
    "scheduler: poll, nothing changed": (None, lambda s, x: s.poll(x.updated)),
    "scheduler: poll, 10 changed": (None, lambda s, x: s.poll(x.updated_before)),
    "scheduler: poll at its start": (None, lambda s, x: s.poll(None)),
    "scheduler: look for orphans": (None, lambda s, x: s.remove_orphans(x.jobs)),
    "users": ("member", lambda s, x: s.get("users")),
    "users, page 100": ("member", lambda s, x: s.get("users", page=100)),
    "users, search": ("member", lambda s, x: s.get("users", search_query="orders.clients7")),
    "users, by superuser": ("superuser", lambda s, x: s.get("users")),
    "who am I": ("member", lambda s, x: s.get("users/me")),
    "groups": ("member", lambda s, x: s.get("groups")),
    "groups, search": ("member", lambda s, x: s.get("groups", search_query=x.group_name)),
    "groups, by superuser": ("superuser", lambda s, x: s.get("groups")),
    "groups, search by superuser": (
        "superuser", lambda s, x: s.get("groups", search_query=x.group_name)),
    "a group": ("member", lambda s, x: s.get(f"groups/{x.group}")),
    "members of the largest group": ("member", lambda s, x: s.get(f"groups/{x.group}/users")),
    "queues of the largest group": ("member", lambda s, x: s.get("queues", group_id=x.group)),
    "queues, search": (
        "member", lambda s, x: s.get("queues", group_id=x.group, search_query="queue_sales7")),
    "connections of the largest group": (
        "member", lambda s, x: s.get("connections", group_id=x.group)),
    "connections of the largest group, page 20": (
        "member", lambda s, x: s.get("connections", group_id=x.group, page=20)),
    "connections of the largest group, by type": (
        "member", lambda s, x: s.get("connections", group_id=x.group, type=["mysql"])),
    "connections of the largest group, search": (
        "member", lambda s, x: s.get("connections", group_id=x.group, search_query="база склады")),
    "connections of a small group": (
        "superuser", lambda s, x: s.get("connections", group_id=x.small_group)),
    "a connection": ("member", lambda s, x: s.get(f"connections/{x.connection}")),
    "transfers of the largest group": (
        "member", lambda s, x: s.get("transfers", group_id=x.group)),
    "transfers of the largest group, page 20": (
        "member", lambda s, x: s.get("transfers", group_id=x.group, page=20)),
    "transfers of the largest group, scheduled": (
        "member", lambda s, x: s.get("transfers", group_id=x.group, is_scheduled=True)),
    "transfers of the largest group, by type": (
        "member", lambda s, x: s.get("transfers", group_id=x.group,
                                     source_connection_type=["mysql"])),
    "transfers of the largest group, search": (
        "member", lambda s, x: s.get("transfers", group_id=x.group, search_query="выгрузка склады")),
    "transfers of the largest group, search for a table": (
        "member", lambda s, x: s.get("transfers", group_id=x.group, search_query="dwh.sales_17")),
    "transfers of a small group": (
        "superuser", lambda s, x: s.get("transfers", group_id=x.small_group)),
    "transfers of a queue": (
        "superuser", lambda s, x: s.get("transfers", group_id=x.queue_group, queue_id=x.queue)),
    "transfers from a connection": (
        "member", lambda s, x: s.get("transfers", group_id=x.group,
                                     source_connection_id=x.connection)),
    "a transfer": ("member", lambda s, x: s.get(f"transfers/{x.transfer}")),
    "runs of the hottest transfer": (
        "superuser", lambda s, x: s.get("runs", transfer_id=x.hot)),
    "runs of the hottest transfer, page 20": (
        "superuser", lambda s, x: s.get("runs", transfer_id=x.hot, page=20)),
    "runs of the hottest transfer, failed": (
        "superuser", lambda s, x: s.get("runs", transfer_id=x.hot, status=["FAILED"])),
    "runs of the hottest transfer, of a week": (
        "superuser", lambda s, x: s.get("runs", transfer_id=x.hot,
                                        started_at_since=x.recently.isoformat())),
    "runs of another transfer": (
        "superuser", lambda s, x: s.get("runs", transfer_id=x.cold)),
    "a run": ("superuser", lambda s, x: s.get(f"runs/{x.run}")),
}

DELETES = {
    "delete an empty queue": (
        "superuser", lambda s, x: s.request("DELETE", f"queues/{x.empty_queue}")),
    "delete a queue with its transfers": (
        "superuser", lambda s, x: s.repository("queue", "delete", x.queue)),
    "delete a group with 7 queues": (
        "superuser", lambda s, x: s.request("DELETE", f"groups/{x.group_of_queues}")),
    "delete a user who owns groups": (
        "superuser", lambda s, x: s.repository("user", "_delete", x.owner)),
    "delete a connection": (
        "superuser", lambda s, x: s.request("DELETE", f"connections/{x.idle_connection}")),
    "delete a transfer": (
        "superuser", lambda s, x: s.request("DELETE", f"transfers/{x.cold}")),
}
