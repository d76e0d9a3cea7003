"""dreampods: many sleepers, one dreamscape.

import asyncio, dreampods as dp

async def main():
    async with dp.open_pods("virtual:8") as fleet:
        async with dp.Session(fleet, dp.load_scene("tide"), out="night-1") as session:
            async for moment in session:
                print(f"{moment.t:6.1f} s  R {moment.order.value:.2f}  chance {moment.order.chance:.2f}")

asyncio.run(main())
"""

from dreampods.dreamscape import Scene, load_scene, scene_names
from dreampods.errors import ConsentError, DreampodsError, LinkError, RecordingError, SceneError
from dreampods.firmware.dreampod import VERSION as __version__
from dreampods.fleet import Fleet, Pod, open_pods
from dreampods.guardian import Consent, load_consent
from dreampods.session import Moment, PodMoment, Session

__all__ = [
    "Consent",
    "ConsentError",
    "DreampodsError",
    "Fleet",
    "LinkError",
    "Moment",
    "Pod",
    "PodMoment",
    "RecordingError",
    "Scene",
    "SceneError",
    "Session",
    "__version__",
    "load_consent",
    "load_scene",
    "open_pods",
    "scene_names",
]
