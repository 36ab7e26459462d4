from tests.lab.encryption.stage import Stage
from tests.lab.encryption.conftest import *
import time, logging
def test_try(stage: Stage, monkeypatch):
    logging.getLogger("infra_ops").setLevel(logging.INFO)
    import infra_ops.operations.encryption.estate as e
    monkeypatch.setattr(e.Estate, "written", lambda self, s: {})
    stage.make_secrets(10)
    t=time.time()
    print([o.sentence() for o in stage.preflight()], time.time()-t)
    plan=None
    op=stage.operation()
    way=op._wish()
    groups=op._groups(way)
    for name in ("back_up","introduce","encrypt"):
        for a in groups[name]:
            if a.step.id.startswith("etcdctl"): continue
            t=time.time()
            from infra_ops.operations.actions import carry_out
            carry_out([a], stage.effects(), print)
            print(a.step.id, "took", time.time()-t)
    print(stage.lists(), stage.raw())
    from infra_ops.operations.actions import take_back
    take_back([*groups["introduce"],*groups["encrypt"]], stage.effects(), print)
    print(stage.lists(), stage.raw())
