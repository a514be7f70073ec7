"""How the embedded CLIP was made: an ordinary open_clip model, trained from scratch on the factory.

Worker processes draw pictures into a pool on disk; every picture is replayed a few times, mirrored
and with a caption drawn anew, so that the renderer is never the brake. `losses.py` describes the
five losses. No picture ever shows damage to a test or validation product, and damage words appear
in a share of `damage_share` of the captions of training products. Runs (`run.py`) are resumable and
log JSON lines.

    python -m aaclip_lite lab pretrain --minutes 60 --out runs/pretrain
    python -m aaclip_lite lab pretrain --warm-start data/lite_clip --minutes 300   # goes on from its
    249 minutes
"""
