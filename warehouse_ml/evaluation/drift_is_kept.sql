-- One row, if there are any of the profile.
select profiles.profile
from {{ 'drift_profiles' | wml }} as profiles
where profiles.profile = {{ param('profile') }}
limit 1
